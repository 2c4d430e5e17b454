package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"
)

// Waiting names one deployment that an agent may claim now.
type Waiting struct {
	ID      uuid.UUID
	Attempt int
}

// PendingSet is the set of deployments that an agent may claim now. It names all of them and holds as many as one response
// does.
type PendingSet struct {
	// Due names all of them, oldest first, at most MaxPending.
	Due []Waiting
	// Deployments are the oldest of Due, as many as MaxPendingBytes allows and at least one if there are any.
	Deployments []Deployment
}

// Tag returns the entity tag of the set. It is computed from Due, so that it equals the tag that the mailbox computes. It
// also identifies the response, since which deployments a response holds depends on Due alone: specs never change.
func (p PendingSet) Tag() string { return PendingTag(p.Due) }

// NothingWaiting is the entity tag of an empty set.
var NothingWaiting = PendingTag(nil)

// PendingTag returns the entity tag of an agent's pending deployments: a hash of ids and attempts only, so that it is
// the same on every replica and independent of the interval hint and the order of responses. It is weak, since the hint
// in the body may differ under the same tag.
func PendingTag(waiting []Waiting) string {
	h := sha256.New()
	for _, w := range waiting {
		h.Write(w.ID[:])
		var attempt [4]byte
		binary.BigEndian.PutUint32(attempt[:], uint32(w.Attempt))
		h.Write(attempt[:])
	}
	return `W/"` + hex.EncodeToString(h.Sum(nil)[:12]) + `"`
}
