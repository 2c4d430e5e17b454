package fleet

import (
	"math"
	"time"
)

// Backoff gives the wait before the attempt that follows a failed one. The argument is the failed attempt's number.
type Backoff func(attempt int) time.Duration

// ExponentialBackoff doubles from base at each attempt up to limit, spread by ±20 % so that deployments which failed
// together do not come back together. random draws from [0, 1).
func ExponentialBackoff(base, limit time.Duration, random func() float64) Backoff {
	return func(attempt int) time.Duration {
		wait := float64(base) * math.Pow(2, float64(min(attempt, 63)-1))
		wait = math.Min(wait, float64(limit))
		return time.Duration(wait * (0.8 + 0.4*random()))
	}
}

// Stretch is the factor by which every interval is lengthened so that a fleet which would poll wanted times a second
// stays within budget polls a second. It is 1 for a fleet that fits.
func Stretch(wanted, budget float64) float64 {
	if !(wanted > budget) || budget <= 0 {
		return 1
	}
	return wanted / budget
}

// StretchedInterval is the interval an agent is told: its own, lengthened, at most MaxPollInterval.
func StretchedInterval(own time.Duration, stretch float64) time.Duration {
	return time.Duration(math.Min(float64(own)*stretch, float64(MaxPollInterval)))
}

// holdSpreadFrom is the shortest hold that ends early.
const holdSpreadFrom = 5 * time.Second

// HoldTime returns how long to hold a poll that may be held for wait, at most limit. From holdSpreadFrom on it is 2 % to
// 10 % less: an intermediary whose timeout equals the wait must see the answer before it gives up, and polls that began
// together must not end together. random draws from [0, 1).
func HoldTime(wait, limit time.Duration, random float64) time.Duration {
	hold := min(wait, limit)
	if hold < holdSpreadFrom {
		return hold
	}
	return time.Duration(float64(hold) * (0.98 - 0.08*random))
}

// Jitter spreads an interval by ±10 %, so that agents which started together drift apart. random draws from [0, 1).
func Jitter(interval time.Duration, random float64) time.Duration {
	return time.Duration(float64(interval) * (0.9 + 0.2*random))
}
