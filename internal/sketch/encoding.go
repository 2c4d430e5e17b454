package sketch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrEncoding is returned for bytes that Encode did not write.
var ErrEncoding = errors.New("not an encoded sketch")

// Both encodings begin with the version and end with the bins that have counts, ascending: each is its distance from
// the previous one (uvarint) and its count. A Distribution has nothing else, and its counts are varints. A Sketch that
// is not empty has the sum, the minimum and the maximum in nanoseconds before its bins, and all of its numbers are
// uvarints. A bin takes about 3 bytes: a minute of a route takes about 100 bytes.
const (
	version = 1
	// MaxEncoded is the maximum number of bytes that Sketch.Encode returns and Decode accepts.
	MaxEncoded = 1 + 3*binary.MaxVarintLen64 + Bins*(2+8) // a distance takes 2 bytes, a count (2^52) 8
)

// counts says how an encoding writes counts, and how many bins it may have.
type counts struct {
	bins   int
	signed bool
}

var (
	signedCounts   = counts{bins: durationBins, signed: true}
	unsignedCounts = counts{bins: Bins}
)

func withoutVersion(b []byte) ([]byte, error) {
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("%w: no bytes", ErrEncoding)
	case b[0] != version:
		return nil, fmt.Errorf("%w: version %d is not known", ErrEncoding, b[0])
	}
	return b[1:], nil
}

// appendBins appends the distribution's encoded bins to b.
func (d *Distribution) appendBins(b []byte, in counts) []byte {
	previous := int32(0)
	for _, one := range d.bins {
		b = binary.AppendUvarint(b, uint64(one.bin-previous))
		if in.signed {
			b = binary.AppendVarint(b, one.count)
		} else {
			b = binary.AppendUvarint(b, uint64(one.count))
		}
		previous = one.bin
	}
	return b
}

// firstBin is where nextBin begins.
const firstBin = -1

// nextBin decodes the bin after previous, and returns the remaining bytes. It does not trust the bytes: it returns an
// error that is ErrEncoding for anything that appendBins cannot have written.
func nextBin(b []byte, previous int, in counts) (bin int, count int64, rest []byte, err error) {
	var distance, written uint64
	if len(b) > 1 && b[0] < 0x80 && b[1] < 0x80 { // as nearly all are
		distance, written, rest = uint64(b[0]), uint64(b[1]), b[2:]
	} else {
		n, m := 0, 0
		if distance, n = binary.Uvarint(b); n <= 0 {
			return 0, 0, nil, fmt.Errorf("%w: cut short", ErrEncoding)
		}
		if written, m = binary.Uvarint(b[n:]); m <= 0 {
			return 0, 0, nil, fmt.Errorf("%w: cut short", ErrEncoding)
		}
		rest = b[n+m:]
	}
	count = int64(min(written, math.MaxInt64))
	if in.signed {
		count = int64(written>>1) ^ -int64(written&1) // as binary.Varint
	}
	bin = max(previous, 0) + int(min(distance, uint64(in.bins)))
	switch {
	case distance == 0 && previous != firstBin || count == 0 || bounded(count) != count:
		return 0, 0, nil, fmt.Errorf("%w: bin %d with count %d", ErrEncoding, bin, count)
	case bin >= in.bins:
		return 0, 0, nil, beyond(in)
	}
	return bin, count, rest, nil
}

// addBins adds encoded bins multiplied by sign, which is 1 or -1, and returns the first and the last of them, or
// firstBin if there is none. After an error the accumulator may contain a part of them.
func (a *Accumulator) addBins(b []byte, in counts, sign int64) (first, last int, err error) {
	if len(b) == 0 {
		return firstBin, firstBin, nil
	}
	first, count, b, err := nextBin(b, firstBin, in)
	if err != nil {
		return firstBin, firstBin, err
	}
	a.add(uint(first), sign*count)
	bin := uint(first)
	for len(b) > 0 {
		if len(b) > 1 && b[0]-1 < 0x7f && b[1]-1 < 0x7f { // nearly always: numbers from 1 to 127, without a call
			count = int64(b[1])
			if in.signed {
				count = count>>1 ^ -(count & 1)
			}
			bin += uint(b[0])
			b = b[2:]
			if bin >= durationBins {
				return firstBin, firstBin, beyond(in)
			}
		} else {
			if last, count, b, err = nextBin(b, int(bin), in); err != nil {
				return firstBin, firstBin, err
			}
			bin = uint(last)
		}
		at := a.at(bin)
		*at = bounded(*at + sign*count)
	}
	if bin >= uint(in.bins) {
		return firstBin, firstBin, beyond(in)
	}
	return first, int(bin), nil
}

func beyond(in counts) error {
	return fmt.Errorf("%w: a bin beyond the last of %d", ErrEncoding, in.bins)
}

// DecodeDistribution decodes the result of Encode. It returns an error that is ErrEncoding for anything that Encode
// cannot have written.
func DecodeDistribution(b []byte) (Distribution, error) {
	var d Distribution
	err := d.MergeEncoded(b)
	return d, err
}

// MergeEncoded merges an encoded distribution without decoding it into a Distribution first. After an error the
// distribution may contain a part of it.
func (d *Distribution) MergeEncoded(b []byte) error {
	b, err := withoutVersion(b)
	if err != nil {
		return err
	}
	at, bin, count := 0, firstBin, int64(0)
	for len(b) > 0 {
		if bin, count, b, err = nextBin(b, bin, signedCounts); err != nil {
			return err
		}
		at = d.add(at, int32(bin), count)
	}
	return nil
}

// Encode returns the distribution in a compact form, with the same bytes for equal distributions.
func (d *Distribution) Encode() []byte {
	b := make([]byte, 1, 1+4*len(d.bins))
	b[0] = version
	return d.appendBins(b, signedCounts)
}

// Encode returns the sketch in a compact form, with the same bytes for equal sketches, however they were merged.
func (s *Sketch) Encode() []byte {
	if s.empty() {
		return []byte{version}
	}
	b := make([]byte, 1, 256)
	b[0] = version
	b = binary.AppendUvarint(b, s.sum)
	b = binary.AppendUvarint(b, s.min)
	b = binary.AppendUvarint(b, s.max)
	d := s.bins.Distribution()
	return d.appendBins(b, unsignedCounts)
}

// MergeEncoded merges the result of Encode. It does not trust the bytes: it returns an error that is ErrEncoding for
// anything that Encode cannot have written, and never uses more memory than a full sketch. After an error the sketch
// may contain a part of the other.
func (s *Sketch) MergeEncoded(b []byte) error {
	if len(b) > MaxEncoded {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrEncoding, len(b), MaxEncoded)
	}
	b, err := withoutVersion(b)
	if err != nil || len(b) == 0 {
		return err
	}
	var header [3]uint64
	for i := range header {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return fmt.Errorf("%w: cut short", ErrEncoding)
		}
		header[i], b = v, b[n:]
	}
	sum, lowest, highest := header[0], header[1], header[2]
	isFirst := s.empty()
	first, last, err := s.bins.addBins(b, unsignedCounts, 1)
	switch {
	case err != nil:
		return err
	case first == firstBin:
		return fmt.Errorf("%w: cut short", ErrEncoding)
	case highest > math.MaxInt64 || Bin(toSeconds(lowest)) != first || Bin(toSeconds(highest)) != last || lowest > highest:
		return fmt.Errorf("%w: smallest and largest value contradict the bins", ErrEncoding)
	case sum < highest:
		return fmt.Errorf("%w: sum is less than the largest value", ErrEncoding)
	}
	s.extend(isFirst, sum, lowest, highest)
	return nil
}

// Decode decodes the result of Encode as MergeEncoded does.
func Decode(b []byte) (*Sketch, error) {
	s := &Sketch{}
	if err := s.MergeEncoded(b); err != nil {
		return nil, err
	}
	return s, nil
}
