package mailbox

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Source is the database that a Mailbox caches.
type Source interface {
	// Sweep reports to into, in any order, what changed since the watermark of an earlier sweep, and the pending
	// deployments of the agents in recheck. For the empty watermark, or one that the source can no longer compare with, it
	// calls into.Full first and reports everything. The changes and the returned watermark are of one snapshot.
	Sweep(ctx context.Context, since string, recheck []string, into Sink) (watermark string, err error)

	// LookUpTokens returns the hashes that are the current token of an agent.
	LookUpTokens(ctx context.Context, hashes []fleet.TokenHash) ([]fleet.TokenHash, error)

	// SavePresence writes when agents, sorted by ID, were last seen. Deleted agents are skipped.
	SavePresence(ctx context.Context, seen []Sighting) error
}

// Sink receives what a sweep finds.
type Sink interface {
	// Full starts a full sweep: agents that are not reported do not exist.
	Full()
	// Agent reports an agent that was enrolled or whose token was rotated. enrolledBy is the fingerprint of its enrollment token.
	Agent(id string, token fleet.TokenHash, own time.Duration, enrolledBy string)
	// Deleted reports a deleted agent.
	Deleted(id string)
	// Waiting reports all deployments that an agent may claim now (at most fleet.MaxPending, oldest first), and how long
	// until the next becomes due; negative if none will.
	Waiting(id string, due []fleet.Waiting, next time.Duration)
}

// Sighting is an agent's last poll: its age, and the interval that the agent was given.
type Sighting struct {
	ID       string
	Age      time.Duration
	Interval time.Duration
}
