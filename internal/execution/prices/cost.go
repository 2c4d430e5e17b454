package prices

import (
	"math"
	"math/bits"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// charge is what a request is charged by, before its tokens are counted.
type charge struct {
	rates   *Rates
	tiers   []Tier
	factors factors
}

// factors multiply a price without rounding.
type factors [3]Factor

// charge returns what applies for a service tier, a region and a time.
func (m *ModelPrice) charge(q *offer, at time.Time) charge {
	c := charge{&m.Rates, m.Tiers, factors{q.region, factorOne, factorOne}}
	own := false // rates of a service tier apply at all hours
	if q.tier != "" {
		c.factors[1] = q.service
		for i := range m.ServiceTiers {
			switch s := &m.ServiceTiers[i]; {
			case s.Name != q.tier:
				continue
			case s.Factor != 0:
				c.factors[1] = s.Factor
			default:
				c.rates, c.tiers, c.factors[1], own = &s.Rates, s.Tiers, factorOne, true
			}
			break
		}
	}
	if len(m.Hours) == 0 || own {
		return c
	}
	at = at.UTC()
	day, since := uint8(1)<<at.Weekday(), time.Duration(at.Hour())*time.Hour+time.Duration(at.Minute())*time.Minute+
		time.Duration(at.Second())*time.Second
	for i := range m.Hours {
		w := &m.Hours[i]
		if w.Days&day == 0 || since < w.From || since >= w.Until {
			continue
		}
		if w.Factor != 0 {
			c.factors[2] = w.Factor
		} else {
			c.rates, c.tiers = &w.Rates, nil
		}
		break
	}
	return c
}

// cost returns the cost in nano-USD, rounded half up once.
func (m *ModelPrice) cost(q *offer, e *execution.Execution) int64 {
	c, t, b := m.charge(q, e.CreatedAt), &e.Tokens, &e.Billing
	input, read, write := max(t.Input, 0), max(t.CacheRead, 0), max(t.CacheWrite, 0)
	rates := c.rates
	for i := range c.tiers {
		if input > c.tiers[i].Above {
			rates = &c.tiers[i].Rates
		}
	}
	var sum picoUSD
	fresh := max(max(input-read, 0)-write, 0)
	audioRead := part(b.AudioCacheRead, read)
	audio := part(max(b.AudioInput, 0)-audioRead, fresh)
	image := part(b.ImageInput, fresh-audio)
	sum.add(fresh-audio-image, rates.Input)
	sum.add(audio, rates.AudioInput)
	sum.add(image, rates.ImageInput)
	sum.add(read-audioRead, rates.CacheRead)
	sum.add(audioRead, rates.AudioCacheRead)
	hour := part(b.CacheWrite1h, write)
	sum.add(write-hour, rates.CacheWrite)
	sum.add(hour, rates.CacheWrite1h)
	output := max(t.Output, 0)
	audio = part(b.AudioOutput, output)
	image = part(b.ImageOutput, output-audio)
	sum.add(output-audio-image, rates.Output)
	sum.add(audio, rates.AudioOutput)
	sum.add(image, rates.ImageOutput)
	return sum.nano(c.factors)
}

// part limits a count to that of the whole.
func part(count, of int64) int64 { return min(max(count, 0), of) }

// picoUSD is an amount of 128 bits, which the sum of eight products of any counts and rates cannot overflow.
type picoUSD struct{ high, low uint64 }

func (s *picoUSD) add(tokens int64, rate Rate) {
	if tokens == 0 {
		return
	}
	high, low := bits.Mul64(uint64(tokens), uint64(rate))
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high += high + carry
}

// nano multiplies by factors and rounds to nano-USD, up to the largest number. It divides once at the end, so that
// nothing is rounded earlier.
func (s picoUSD) nano(f factors) int64 {
	const picos = 1000
	divisor := uint64(picos)
	for _, factor := range f {
		if factor == factorOne {
			continue
		}
		if !s.times(uint64(factor)) {
			return math.MaxInt64
		}
		divisor *= uint64(factorOne) // at most 10^15
	}
	low, carry := bits.Add64(s.low, divisor/2, 0)
	high := s.high + carry
	if high >= divisor {
		return math.MaxInt64
	}
	nanos, _ := bits.Div64(high, low, divisor)
	return int64(min(nanos, math.MaxInt64))
}

// times multiplies, and reports whether the product fits in 128 bits. If not, it is beyond the largest number of
// nano-USD after any division.
func (s *picoUSD) times(factor uint64) bool {
	over, high := bits.Mul64(s.high, factor)
	carry, low := bits.Mul64(s.low, factor)
	high, more := bits.Add64(high, carry, 0)
	s.high, s.low = high, low
	return over == 0 && more == 0
}

// whole returns the product of the factors, rounded.
func (f factors) whole() int64 {
	product := int64(factorOne)
	for _, factor := range f {
		product = (product*int64(factor) + int64(factorOne)/2) / int64(factorOne)
	}
	return product
}

// times multiplies rates, rounding each to a Rate.
func (r Rates) times(f factors) Rates {
	for _, rate := range r.all() {
		for _, factor := range f {
			high, low := bits.Mul64(uint64(*rate), uint64(factor))
			low, carry := bits.Add64(low, uint64(factorOne)/2, 0)
			if high += carry; high >= uint64(factorOne) {
				*rate = math.MaxInt64
				continue
			}
			product, _ := bits.Div64(high, low, uint64(factorOne))
			*rate = Rate(min(product, math.MaxInt64))
		}
	}
	return r
}

// all returns pointers to the rates; those that others fall back to are first.
func (r *Rates) all() []*Rate {
	return []*Rate{
		&r.Input, &r.Output, &r.CacheRead, &r.CacheWrite, &r.CacheWrite1h,
		&r.AudioInput, &r.AudioOutput, &r.AudioCacheRead, &r.ImageInput, &r.ImageOutput,
	}
}
