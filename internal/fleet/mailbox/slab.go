package mailbox

import "sync/atomic"

// slab stores records in large blocks and numbers them, so that the garbage collector marks few objects and the indexes
// hold no pointers. With maps to records that are objects of their own, the collector takes nine times as long to mark
// 100,000 agents, which it does several times a second; measure it with
//
//	go test ./internal/fleet/mailbox -run '^$' -bench Collection
//
// Released records are reused, so a handle may refer to a previous agent.
type slab struct {
	blocks atomic.Pointer[[]*block] // readers of an older list only ask for records within it
	unused []uint32                 // released records
	used   uint32                   // records ever taken from the blocks
}

const blockSize = 1 << 10

type block [blockSize]record

func (s *slab) at(number uint32) *record {
	blocks := *s.blocks.Load()
	return &blocks[number/blockSize][number%blockSize]
}

// take returns the number of an unused record.
func (s *slab) take() (number uint32) {
	if last := len(s.unused) - 1; last >= 0 {
		number, s.unused = s.unused[last], s.unused[:last]
		return number
	}
	if s.used%blockSize == 0 {
		var blocks []*block
		if old := s.blocks.Load(); old != nil {
			blocks = *old
		}
		blocks = append(blocks, new(block))
		s.blocks.Store(&blocks)
	}
	s.used++
	return s.used - 1
}

func (s *slab) release(number uint32) { s.unused = append(s.unused, number) }
