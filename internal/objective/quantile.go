package objective

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/sketch"
)

// Latency requires a quantile of a route's latency below a threshold.
type Latency struct {
	Route     string `json:"route"`            // a pattern, as in the endpoints section
	Method    string `json:"method,omitempty"` // empty: all methods
	Quantile  string `json:"quantile"`         // between 0 and 1
	Threshold string `json:"threshold"`        // at most 10m
}

// QueryTime requires a quantile of the time of all database queries together below a threshold.
type QueryTime struct {
	Quantile  string `json:"quantile"`  // between 0 and 1
	Threshold string `json:"threshold"` // at most 10m
}

// quantile parses what objectives for a quantile have in common, and returns the quantile.
func quantile(f fields, written, threshold string) (Resolved, *big.Rat) {
	q := f.inside("quantile", written)
	r := Resolved{Unit: UnitMilliseconds, Comparison: Below, Budget: complement(q), Threshold: f.threshold("threshold", threshold)}
	r.Target = big.NewRat(int64(r.Threshold), int64(time.Millisecond))
	return r, q
}

// slow returns the share of latencies at or above the threshold.
func (r Resolved) slow(s *sketch.Sketch) *figure {
	return share(int64(s.CountAtLeast(float(r.Target)/1e3)), int64(s.Count()))
}

func (o *Latency) resolve(f fields) Resolved {
	f.route("route", o.Route)
	f.method("method", o.Method)
	r, q := quantile(f, o.Quantile, o.Threshold)
	r.Method, r.Route = o.Method, o.Route
	endpoint := o.Route
	if o.Method != "" {
		endpoint = o.Method + " " + o.Route
	}
	r.Description = fmt.Sprintf("%s of %s", percentile(q), endpoint)
	r.measure = func(d Data) reading {
		t := d.Traffic(o.Method, o.Route)
		return reading{
			actual: milliseconds(t.Latency.Quantile(float(q))),
			bad:    r.slow(t.Latency),
			detail: number.Counted(t.Responses, "request"),
		}
	}
	return r
}

func (o *QueryTime) resolve(f fields) Resolved {
	r, q := quantile(f, o.Quantile, o.Threshold)
	r.Description = percentile(q) + " of all database queries"
	r.Needs.Queries = true
	r.measure = func(d Data) reading {
		queries := d.Queries()
		if len(queries) == 0 {
			return reading{}
		}
		var all sketch.Sketch
		for _, query := range queries {
			all.Merge(query.Latency)
		}
		slowest := slices.MaxFunc(queries, func(a, b Query) int {
			left, _ := a.Latency.Quantile(float(q))
			right, _ := b.Latency.Quantile(float(q))
			return cmp.Or(cmp.Compare(left, right), cmp.Compare(b.Name, a.Name))
		})
		read := reading{actual: milliseconds(all.Quantile(float(q))), bad: r.slow(&all)}
		if theirs := milliseconds(slowest.Latency.Quantile(float(q))); theirs != nil {
			read.detail = fmt.Sprintf("slowest is %s with %s", slowest.Name, UnitMilliseconds.Format(theirs.shown))
		}
		return read
	}
	return r
}
