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

// NothingWaiting is the entity tag of an empty set.
var NothingWaiting = PendingTag(nil)

// PendingTag is the entity tag of what waits for an agent: a hash of ids and attempts alone, so that every replica
// gives the same one and neither the interval hint nor the order of two replies disturbs it. It is weak, since
// the hint in the body may differ under the same tag.
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
