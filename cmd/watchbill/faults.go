package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/text"
)

// faults collects everything that is wrong with a command line.
type faults []error

// add records a fault of a flag or argument if wrong is true.
func (f *faults) add(wrong bool, what, format string, args ...any) {
	if wrong {
		*f = append(*f, fmt.Errorf("%s: %s", what, fmt.Sprintf(format, args...)))
	}
}

// keep records err as a fault if it is not nil.
func (f *faults) keep(what string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("%s: %w", what, err))
	}
}

// ids checks ids that the server generated.
func (f *faults) ids(what string, ids ...string) {
	for _, id := range ids {
		f.add(uuid.Validate(id) != nil || len(id) != 36, what, "%q is not an id such as 0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", text.FitRunes(id, 60))
	}
}

// agentIDs checks the ids of agents.
func (f *faults) agentIDs(what string, ids ...string) {
	for _, id := range ids {
		var problem *fault.Error
		if errors.As(fleet.ValidateAgentID(what, id), &problem) {
			f.add(true, what, "%q %s", text.FitRunes(id, 60), problem.Detail)
		}
	}
}

// keepField records an error that names the field itself.
func (f *faults) keepField(err error) {
	if err != nil {
		*f = append(*f, err)
	}
}

// seconds checks a duration that is sent in whole seconds.
func (f *faults) seconds(what string, d, minimum, limit time.Duration) {
	f.add(d < minimum || d > limit || d%time.Second != 0, what, "must be whole seconds from %s to %s, not %s", text.Duration(minimum), text.Duration(limit), text.Duration(d))
}

// err returns the faults as a usage error, or nil if there are none.
func (f faults) err() error { return usageError(errors.Join(f...)) }
