package mailbox

import "sync/atomic"

// slab holds records in large blocks and gives them numbers, so that the collector has a few objects to mark, and no pointers to follow
// from the tables in which they are found: with a million agents those took a fifth of all time. A record that was given up is
// used again, so a handle may be of who had it before: see record.generation. Only the sweeper takes and gives up.
type slab struct {
	blocks atomic.Pointer[[]*block] // who has an older list does not ask for what is beyond its end
	unused []uint32                 // that were given up
	used   uint32                   // that were ever
}

const blockSize = 1 << 10

type block [blockSize]record

func (s *slab) at(number uint32) *record {
	blocks := *s.blocks.Load()
	return &blocks[number/blockSize][number%blockSize]
}

// take returns a record that nobody has.
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

func (s *slab) giveUp(number uint32) { s.unused = append(s.unused, number) }
