package sketch

import (
	"encoding/binary"
	"fmt"
)

// Accumulator adds up distributions. It holds a place for every bin, so that adding many costs a fraction of
// merging each into a Distribution; it is worth its 12 KB where there are dozens. The zero value is an empty one. It is not
// safe for concurrent use.
type Accumulator struct {
	counts [durationBins]int64
}

// Add adds what Encode returned. After an error the accumulator may hold a part of it.
func (a *Accumulator) Add(b []byte) error {
	if len(b) == 0 || b[0] != version {
		return fmt.Errorf("%w: no version that is known", ErrEncoding)
	}
	bin, first := uint64(0), true
	for b = b[1:]; len(b) > 0; first = false {
		var distance uint64
		var count int64
		if len(b) > 1 && b[0] < 0x80 && b[1] < 0x80 { // as nearly all are
			distance, count = uint64(b[0]), int64(b[1]>>1)^-int64(b[1]&1)
			b = b[2:]
		} else {
			n, m := 0, 0
			if distance, n = binary.Uvarint(b); n <= 0 {
				return fmt.Errorf("%w: cut short", ErrEncoding)
			}
			if count, m = binary.Varint(b[n:]); m <= 0 {
				return fmt.Errorf("%w: cut short", ErrEncoding)
			}
			b = b[n+m:]
		}
		if distance >= durationBins || distance == 0 && !first || count == 0 || bounded(count) != count {
			return fmt.Errorf("%w: bin %d+%d with count %d", ErrEncoding, bin, distance, count)
		}
		if bin += distance; bin >= durationBins {
			return fmt.Errorf("%w: bin %d, there are %d", ErrEncoding, bin, durationBins)
		}
		a.counts[bin] = bounded(a.counts[bin] + count)
	}
	return nil
}

// Merge adds all that a distribution holds; it stays as it is.
func (a *Accumulator) Merge(d Distribution) {
	for _, b := range d.bins {
		a.counts[b.bin] = bounded(a.counts[b.bin] + b.count)
	}
}

// Distribution is what was added, as merging one after the other would have it.
func (a *Accumulator) Distribution() Distribution {
	var d Distribution
	many := 0
	for _, count := range a.counts {
		if count != 0 {
			many++
		}
	}
	if many == 0 {
		return d
	}
	d.bins = make([]binCount, 0, many)
	for bin, count := range a.counts {
		if count != 0 {
			d.bins = append(d.bins, binCount{int32(bin), count})
		}
	}
	return d
}
