package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/DataDog/sketches-go/ddsketch/store"
)

// ErrEncoding is returned for bytes that Encode did not write.
var ErrEncoding = errors.New("not an encoded sketch")

// The encoding is the version; unless empty the sum, the smallest and the largest value in nanoseconds; then,
// ascending, each non-empty bin as its distance from the previous one and its count. All but the version are uvarints.
// A bin takes about 3 bytes: a minute of a route takes about 100 bytes.
const (
	version = 1
	// MaxEncoded is the maximum number of bytes that Encode returns and Decode accepts.
	MaxEncoded = 1 + 3*binary.MaxVarintLen64 + Bins*(2+8) // a distance takes 2 bytes, a count (2^53) 8
	maxCount   = 1 << 53                                  // exact in the store's float64 counts
)

// Encode returns the sketch in a compact form, with the same bytes for equal sketches, however they were merged.
func (s *Sketch) Encode() []byte {
	if s.Count() == 0 {
		return []byte{version}
	}
	b := make([]byte, 1, 256)
	b[0] = version
	b = binary.AppendUvarint(b, s.sum)
	b = binary.AppendUvarint(b, s.min)
	b = binary.AppendUvarint(b, s.max)
	previous := 0
	s.bins.ForEach(func(bin int, count float64) (stop bool) {
		b = binary.AppendUvarint(b, uint64(bin-previous))
		b = binary.AppendUvarint(b, uint64(count))
		previous = bin
		return false
	})
	return b
}

// Decode decodes the result of Encode. It does not trust the bytes: it returns an error that is ErrEncoding for
// anything that Encode cannot have written, and never uses more memory than a full sketch.
func Decode(b []byte) (*Sketch, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: no bytes", ErrEncoding)
	}
	if len(b) > MaxEncoded {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrEncoding, len(b), MaxEncoded)
	}
	if b[0] != version {
		return nil, fmt.Errorf("%w: version %d is not known", ErrEncoding, b[0])
	}
	s := &Sketch{}
	if len(b) == 1 {
		return s, nil
	}
	r := reader{b: b[1:]}
	s.sum, s.min, s.max = r.next(), r.next(), r.next()
	s.bins = store.NewDenseStore()
	first, bin := -1, 0
	for !r.bad && len(r.b) > 0 {
		distance, count := r.next(), r.next()
		if distance >= Bins || count == 0 || count > maxCount || distance == 0 && first >= 0 {
			return nil, fmt.Errorf("%w: bin %d+%d with count %d", ErrEncoding, bin, distance, count)
		}
		bin += int(distance)
		if bin >= Bins {
			return nil, fmt.Errorf("%w: bin %d, there are %d", ErrEncoding, bin, Bins)
		}
		if first < 0 {
			first = bin
		}
		s.count += count // at most Bins × 2^53
		s.bins.AddWithCount(bin, float64(count))
	}
	switch {
	case r.bad || first < 0:
		return nil, fmt.Errorf("%w: cut short", ErrEncoding)
	case s.count > maxCount:
		return nil, fmt.Errorf("%w: %d observations, at most 2^53", ErrEncoding, s.count)
	case s.max > math.MaxInt64 || Bin(toSeconds(s.min)) != first || Bin(toSeconds(s.max)) != bin || s.min > s.max:
		return nil, fmt.Errorf("%w: smallest and largest value contradict the bins", ErrEncoding)
	case s.sum < s.max:
		return nil, fmt.Errorf("%w: sum is less than the largest value", ErrEncoding)
	}
	return s, nil
}

// reader reads uvarints until one is malformed.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) next() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}
