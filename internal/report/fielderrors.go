package report

import (
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/objective"
)

// FieldError is a fault of one field of an Input. Field is its path, such as objectives[2].latency.threshold.
type FieldError struct {
	Field   string
	Problem string
}

// FieldErrors is all faults of an Input.
type FieldErrors []FieldError

func (e FieldErrors) Error() string {
	faults := make([]string, len(e))
	for i, fault := range e {
		faults[i] = fault.Field + ": " + fault.Problem
	}
	return strings.Join(faults, "; ")
}

func (e *FieldErrors) add(field, format string, args ...any) {
	*e = append(*e, FieldError{field, fmt.Sprintf(format, args...)})
}

// take adds the faults of objectives.
func (e *FieldErrors) take(faults []objective.Fault) {
	for _, fault := range faults {
		*e = append(*e, FieldError(fault))
	}
}

// err returns the faults as an error, or nil if there are none. A FieldErrors in an error variable is never nil.
func (e FieldErrors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
