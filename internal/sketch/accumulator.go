package sketch

import (
	"encoding/binary"
	"fmt"
)

// Accumulator adds up distributions. It has a counter for every bin near those with counts, so that adding many
// distributions costs a fraction of merging each into a Distribution; at 1 to 12 KB it is worthwhile for dozens. The
// zero value is empty and ready to use. It is not safe for concurrent use.
type Accumulator struct {
	pages [(durationBins + pageBins - 1) / pageBins]*page
}

// page has the counts of adjacent bins.
type page [pageBins]int64

const pageBins = 64

// Add adds an encoded distribution if sign is 1, and subtracts it if sign is -1. After an error the accumulator may
// contain a part of it.
func (a *Accumulator) Add(b []byte, sign int64) error {
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
			if distance >= durationBins || bounded(count) != count {
				return fmt.Errorf("%w: bin %d+%d with count %d", ErrEncoding, bin, distance, count)
			}
		}
		if distance == 0 && !first || count == 0 {
			return fmt.Errorf("%w: bin %d+%d with count %d", ErrEncoding, bin, distance, count)
		}
		if bin += distance; bin >= durationBins {
			return fmt.Errorf("%w: bin %d, there are %d", ErrEncoding, bin, durationBins)
		}
		at := a.place(uint(bin))
		*at = bounded(*at + sign*count)
	}
	return nil
}

// Merge adds a distribution, which is not changed.
func (a *Accumulator) Merge(d Distribution) {
	for _, b := range d.bins {
		at := a.place(uint(b.bin))
		*at = bounded(*at + b.count)
	}
}

// Distribution returns the same distribution as merging one after the other.
func (a *Accumulator) Distribution() Distribution {
	var d Distribution
	many := 0
	for _, p := range a.pages {
		if p == nil {
			continue
		}
		for _, count := range p {
			if count != 0 {
				many++
			}
		}
	}
	if many == 0 {
		return d
	}
	d.bins = make([]binCount, 0, many)
	for n, p := range a.pages {
		if p == nil {
			continue
		}
		for i, count := range p {
			if count != 0 {
				d.bins = append(d.bins, binCount{int32(n*pageBins + i), count})
			}
		}
	}
	return d
}

// place returns a pointer to a bin's count.
func (a *Accumulator) place(bin uint) *int64 {
	p := a.pages[bin/pageBins]
	if p == nil {
		p = new(page)
		a.pages[bin/pageBins] = p
	}
	return &p[bin%pageBins]
}
