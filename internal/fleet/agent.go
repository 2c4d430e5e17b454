package fleet

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/text"
)

// Limits of an agent's fields.
const (
	MaxIDLength     = 128 // bytes of an agent's id
	MaxNameLength   = 200 // bytes of an agent's or a deployment's name
	MaxLabels       = 64
	MaxVersion      = 100 // bytes
	MinPollInterval = time.Second
	MaxPollInterval = time.Hour

	// DefaultPollInterval is the poll interval of an agent that does not request one.
	DefaultPollInterval = 10 * time.Second
)

// Agent is a program on a machine of the fleet that polls for deployments.
type Agent struct {
	ID           string
	Name         string
	Labels       map[string]string // Kubernetes' label syntax
	PollInterval time.Duration     // as requested at enrollment; whole seconds
	Version      string            // the agent program's, as reported at enrollment
	EnrolledBy   string            // fingerprint of the enrollment token; empty if enrolled by an administrator or an older release
	RegisteredAt time.Time
	Presence     Presence
}

// Presence is when an agent last polled and the interval that it was given.
type Presence struct {
	LastSeenAt time.Time     // zero: never
	Interval   time.Duration // last hinted; zero: its own
}

// State is whether an agent is reachable, by its polls.
type State string

// An agent is online until 1.5 of its last interval has passed without a poll, late until 6 have passed, then offline.
const (
	Online  State = "online"
	Late    State = "late"
	Offline State = "offline"
)

// LateAfter and OfflineAfter are the factors of the interval at which an agent's state changes. 1.5 forgives jitter
// and one retry; 6 is a minute at DefaultPollInterval. The queries that count agents by state use the same two.
const (
	LateAfter    = 1.5
	OfflineAfter = 6.0
)

// PresenceLag is the maximum delay before a poll is recorded. States allow for it.
const PresenceLag = time.Second

// State returns the agent's state at now, by the interval that it was last given.
func (a *Agent) State(now time.Time) State {
	if a.Presence.LastSeenAt.IsZero() {
		return Offline
	}
	interval := a.Presence.Interval
	if interval <= 0 {
		interval = a.PollInterval
	}
	silent := (now.Sub(a.Presence.LastSeenAt) - PresenceLag).Seconds() / interval.Seconds()
	switch {
	case silent <= LateAfter:
		return Online
	case silent <= OfflineAfter:
		return Late
	default:
		return Offline
	}
}

// AgentView is an agent with its state by the database's clock.
type AgentView struct {
	Agent
	State State
}

// Validate returns an error for the first invalid field.
func (a *Agent) Validate() error {
	if err := ValidateAgentID("id", a.ID); err != nil {
		return err
	}
	if err := validateLine("name", a.Name, 1, MaxNameLength); err != nil {
		return err
	}
	if err := validateLine("version", a.Version, 0, MaxVersion); err != nil {
		return err
	}
	if a.PollInterval < MinPollInterval || a.PollInterval > MaxPollInterval {
		return fault.InvalidField("poll_interval_seconds", "must be from 1 to 3600")
	}
	return validateLabels(a.Labels)
}

// ValidateAgentID returns an error unless id consists of letters, digits, '.', '_' and '-' and starts with a letter or
// digit. field is its name in the error.
func ValidateAgentID(field, id string) error {
	if id == "" {
		return fault.InvalidField(field, "must not be empty")
	}
	if len(id) > MaxIDLength {
		return fault.InvalidField(field, "must be at most %d characters", MaxIDLength)
	}
	for i := range len(id) {
		c := id[i]
		alphanumeric := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alphanumeric && (i == 0 || c != '.' && c != '_' && c != '-') {
			return fault.InvalidField(field, "must be letters, digits, '.', '_' or '-', starting with a letter or a digit")
		}
	}
	return nil
}

func validateLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return fault.InvalidField("labels", "must be at most %d", MaxLabels)
	}
	for key, value := range labels {
		if problem := LabelKeyFault(key); problem != "" {
			return fault.InvalidField("labels", "key %q: %s", text.Clip(key, 80), problem)
		}
		if problem := LabelValueFault(value); problem != "" {
			return fault.InvalidField("labels."+key, "%s", problem)
		}
	}
	return nil
}

// LabelKeyFault returns why key is not a valid label key, or "".
func LabelKeyFault(key string) string { return firstOf(validation.IsQualifiedName(key)) }

// LabelValueFault returns why value is not a valid label value, or "".
func LabelValueFault(value string) string { return firstOf(validation.IsValidLabelValue(value)) }

func firstOf(faults []string) string {
	if len(faults) == 0 {
		return ""
	}
	return faults[0]
}

// validateLine is validateText for a single line without control characters.
func validateLine(field, s string, minBytes, maxBytes int) error {
	if err := validateText(field, s, minBytes, maxBytes); err != nil {
		return err
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return fault.InvalidField(field, "must not contain control characters")
	}
	return nil
}

// validateText rejects text that PostgreSQL cannot store: NUL and invalid UTF-8.
func validateText(field, s string, minBytes, maxBytes int) error {
	switch {
	case len(s) < minBytes:
		return fault.InvalidField(field, "must not be empty")
	case len(s) > maxBytes:
		return fault.InvalidField(field, "must be at most %d bytes", maxBytes)
	case !utf8.ValidString(s):
		return fault.InvalidField(field, "must be valid UTF-8")
	case strings.ContainsRune(s, 0):
		return fault.InvalidField(field, "must not contain a NUL character")
	}
	return nil
}
