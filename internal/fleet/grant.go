package fleet

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/text"
)

// ErrEnrollmentFull is returned when an enrollment token has reached its maximum number of agents.
var ErrEnrollmentFull = &fault.Error{Kind: fault.Limited, Code: "enrollment_full", Detail: "the enrollment token has enrolled as many agents as it may; an administrator must delete some or raise the limit"}

// Grant is what an enrollment token permits.
type Grant struct {
	Token           TokenHash
	Labels          map[string]string // fixed labels of its agents
	AllowedLabels   []string          // keys of other labels that its agents may set; nil: any
	MaxAgents       int               // maximum number of enrolled agents; 0: no limit
	MinPollInterval time.Duration
	Expires         time.Time // zero: never
}

// Fingerprint returns a name for the token that may be logged.
func (g *Grant) Fingerprint() string { return hex.EncodeToString(g.Token[:8]) }

// Admit returns the agent with the grant's labels, or an error if the grant does not permit it at now.
func (g *Grant) Admit(a Agent, now time.Time) (Agent, error) {
	if !g.Expires.IsZero() && !now.Before(g.Expires) {
		return a, &fault.Error{Kind: fault.Forbidden, Code: "token_expired", Detail: "the enrollment token has expired"}
	}
	for _, key := range slices.Sorted(maps.Keys(a.Labels)) {
		fixed, isFixed := g.Labels[key]
		switch {
		case isFixed && fixed != a.Labels[key]:
			return a, forbiddenLabel("label_fixed", key, fmt.Sprintf("the enrollment token fixes this label to %q", fixed))
		case !isFixed && g.AllowedLabels != nil && !slices.Contains(g.AllowedLabels, key):
			return a, forbiddenLabel("label_not_allowed", key, "the enrollment token does not let an agent set this label")
		}
	}
	if len(g.Labels) > 0 {
		labels := maps.Clone(g.Labels)
		maps.Copy(labels, a.Labels)
		a.Labels = labels
	}
	a.PollInterval = max(a.PollInterval, g.MinPollInterval)
	a.EnrolledBy = g.Fingerprint()
	return a, nil
}

func forbiddenLabel(code, key, detail string) error {
	return &fault.Error{Kind: fault.Forbidden, Code: code, Field: "labels." + text.Clip(key, 80), Detail: detail}
}
