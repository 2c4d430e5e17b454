package fleet

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fault"
)

// Limits of a deployment's fields.
const (
	MaxTargets      = 10_000    // agents of one create request
	MaxSpec         = 256 << 10 // bytes of JSON
	MaxClaim        = 128       // bytes
	MaxMessage      = 4 << 10   // bytes
	MaxOutput       = 64 << 10  // bytes
	MaxLogChunk     = 256 << 10 // bytes of one chunk
	MaxLog          = 4 << 20   // bytes of one attempt
	MaxAttempts     = 100
	MaxLease        = 24 * time.Hour
	MinLease        = 5 * time.Second
	DefaultAttempts = 3
	DefaultLease    = 5 * time.Minute

	// MaxPending is the maximum number of deployments in one poll, oldest first. The rest follow when these are claimed.
	MaxPending = 50
	// MaxPendingBytes limits the specs in one poll. The first deployment is always listed; the rest follow when these are
	// claimed.
	MaxPendingBytes = 1 << 20
)

// Status is the state of a deployment.
type Status string

// The states. pending → running → succeeded | failed; running → pending for another attempt, or timed_out or failed if none
// is left; pending | running → cancelled.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	TimedOut  Status = "timed_out"
	Cancelled Status = "cancelled"
)

// Statuses are all states in display order.
var Statuses = [...]Status{Pending, Running, Succeeded, Failed, TimedOut, Cancelled}

// ParseStatus reads a status. It also accepts the words that executions have for the same outcomes, and "canceled".
func ParseStatus(s string) (Status, bool) {
	switch s {
	case "success":
		return Succeeded, true
	case "failure":
		return Failed, true
	case "timeout":
		return TimedOut, true
	case "canceled":
		return Cancelled, true
	default:
		return Status(s), slices.Contains(Statuses[:], Status(s))
	}
}

// Finished reports whether s is a final state.
func (s Status) Finished() bool { return s != Pending && s != Running }

// Deployment is one piece of work for one agent.
type Deployment struct {
	ID             uuid.UUID
	AgentID        string
	GroupID        uuid.UUID // the group of the create request
	Name           string
	Spec           json.RawMessage // a JSON object; nil if it was not read
	Status         Status
	Attempt        int // from 1; with Claim, it fences off runs that lost their lease
	Claim          string
	MaxAttempts    int
	Lease          time.Duration // whole seconds
	LeaseExpiresAt time.Time     // zero unless running
	AvailableAt    time.Time     // pending: not before this
	Progress       *float64      // percent
	Message        *string
	Output         *string
	CreatedAt      time.Time
	StartedAt      time.Time // of the current attempt; zero: not claimed
	FinishedAt     time.Time // zero: not finished
}

// Attempt is a run that a retry has superseded. The current one's figures are the deployment's own.
type Attempt struct {
	Number     int
	Claim      string
	Status     Status // Failed or TimedOut
	Progress   *float64
	Message    *string
	Output     *string
	StartedAt  time.Time
	FinishedAt time.Time
}

// NewDeployment is the deployment that a create request asks for, the same for each of its agents.
type NewDeployment struct {
	Name        string
	Spec        json.RawMessage
	MaxAttempts int
	Lease       time.Duration
}

// Validate returns an error for the first invalid field.
func (n *NewDeployment) Validate() error {
	if err := validateLine("name", n.Name, 1, MaxNameLength); err != nil {
		return err
	}
	switch {
	case len(n.Spec) == 0 || n.Spec[0] != '{':
		return fault.InvalidField("spec", "must be a JSON object")
	case len(n.Spec) > MaxSpec:
		return fault.InvalidField("spec", "must be at most %d bytes", MaxSpec)
	case n.MaxAttempts < 1 || n.MaxAttempts > MaxAttempts:
		return fault.InvalidField("max_attempts", "must be from 1 to %d", MaxAttempts)
	case n.Lease < MinLease || n.Lease > MaxLease:
		return fault.InvalidField("lease_seconds", "must be from %d to %d", int(MinLease.Seconds()), int(MaxLease.Seconds()))
	}
	return nil
}

// Group summarizes the deployments that one create request made.
type Group struct {
	ID        uuid.UUID
	Name      string
	CreatedAt time.Time
	Counts    map[Status]int64
}

// Total is the number of the group's deployments.
func (g Group) Total() int64 {
	var total int64
	for _, n := range g.Counts {
		total += n
	}
	return total
}

// Finished reports whether all of the group's deployments are finished.
func (g Group) Finished() bool { return g.Counts[Pending]+g.Counts[Running] == 0 }

// Order is a request to create one deployment for each named or selected agent. Either AgentIDs or Selector is set.
type Order struct {
	NewDeployment
	AgentIDs []string
	Selector *Selector
}

// CreatedGroup is the result of an Order: deployments that differ only in ID and AgentID. Their Spec is nil; it is the
// order's.
type CreatedGroup struct {
	ID          uuid.UUID
	Deployments []Deployment
}

// DeploymentFilter selects deployments. Zero fields are ignored.
type DeploymentFilter struct {
	AgentID string
	GroupID uuid.UUID
	Status  Status
}

// IdempotencyKey is a caller's name for a request, with a hash of the request to distinguish a repetition from a conflict.
type IdempotencyKey struct {
	Key         string
	RequestHash [32]byte
}

// LogPart is a part of one attempt's log.
type LogPart struct {
	Attempt  int
	Offset   int64
	Data     []byte
	Complete bool // the attempt has ended and Data reaches the end of its log
}
