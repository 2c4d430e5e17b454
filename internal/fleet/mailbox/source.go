package mailbox

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Source is the truth that a Mailbox caches.
type Source interface {
	// Sweep tells into what changed since the watermark that an earlier sweep returned, in any order, and what the
	// agents named by recheck have waiting now. The empty watermark means everything. So does one that the source can no
	// longer compare with: it then calls into.Whole first. The changes and the returned watermark are of one snapshot.
	Sweep(ctx context.Context, since string, recheck []string, into Sink) (watermark string, err error)

	// LookUpTokens returns those of the hashes that an agent has now.
	LookUpTokens(ctx context.Context, hashes []fleet.TokenHash) ([]fleet.TokenHash, error)

	// SavePresence writes when agents were last seen, sorted by ID. Agents that are gone are passed over.
	SavePresence(ctx context.Context, seen []Sighting) error
}

// Sink takes what a sweep finds.
type Sink interface {
	// Whole says that everything follows: whoever is not mentioned again does not exist.
	Whole()
	// Agent is an agent that was enrolled or whose token was rotated. enrolledBy is the fingerprint of its enrollment token.
	Agent(id string, token fleet.TokenHash, own time.Duration, enrolledBy string)
	// Deleted is an agent that is gone.
	Deleted(id string)
	// Waiting is all that an agent may claim now (at most fleet.MaxPending, oldest first), and how long until one more
	// becomes due; negative: none will of itself.
	Waiting(id string, due []fleet.Waiting, next time.Duration)
}

// Sighting is that an agent polled: how long ago, and the interval it was told.
type Sighting struct {
	ID       string
	Age      time.Duration
	Interval time.Duration
}
