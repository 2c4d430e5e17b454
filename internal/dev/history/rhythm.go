package history

import (
	"math"
	"math/rand/v2"
	"time"
)

// rhythm returns how busy users are at a time, relative to other times: most at daytime and on weekdays, and more from
// week to week.
func (p plan) rhythm(t time.Time) float64 {
	hour := float64(t.Hour()) + float64(t.Minute())/60
	busy := 0.12 + math.Exp(-(hour-10.5)*(hour-10.5)/8) + 0.8*math.Exp(-(hour-15)*(hour-15)/7)
	if day := t.Weekday(); day == time.Saturday || day == time.Sunday {
		busy *= 0.35
	}
	return busy * (0.7 + 0.6*p.progress(t))
}

// progress returns the part of the history that is over at a time.
func (p plan) progress(t time.Time) float64 {
	return min(max(t.Sub(p.from).Seconds()/p.to.Sub(p.from).Seconds(), 0), 1)
}

// outage reports whether a provider has an outage at a time: for some hours at two thirds of the history, and lately.
func (p plan) outage(t time.Time) bool {
	for _, at := range []float64{0.66, 0.985} {
		begin := p.from.Add(time.Duration(at * float64(p.to.Sub(p.from))))
		if length := min(3*time.Hour, p.to.Sub(p.from)/50); !t.Before(begin) && t.Before(begin.Add(length)) {
			return true
		}
	}
	return false
}

// slot is a part of the history, which is generated on its own.
type slot struct {
	number   uint64
	from, to time.Time
	count    int64 // of executions
}

// slots divides the history into hours, with the executions by the rhythm. Their counts add up to all.
func (p plan) slots() []slot {
	var all []slot
	var weights []float64
	total := 0.0
	for from := p.from; from.Before(p.to); from = from.Add(time.Hour) {
		to := from.Add(time.Hour)
		if to.After(p.to) {
			to = p.to
		}
		weight := p.rhythm(from.Add(to.Sub(from)/2)) * to.Sub(from).Hours()
		all = append(all, slot{number: uint64(len(all)), from: from, to: to})
		weights = append(weights, weight)
		total += weight
	}
	passed, given := 0.0, int64(0)
	for i := range all {
		passed += weights[i]
		upTo := int64(math.Round(float64(p.executions) * passed / total))
		all[i].count = upTo - given
		given = upTo
	}
	return all
}

// random returns the source of random numbers of a part of the history.
func (p plan) random(part string, number uint64) *rand.Rand {
	h := p.seed
	for _, c := range []byte(part) {
		h = h*1099511628211 + uint64(c)
	}
	return rand.New(rand.NewPCG(h, number))
}
