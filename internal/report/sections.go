package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// Limits of what a report lists; its sums include everything.
const (
	MaxQueries = 20 // the slowest
	MaxErrors  = 50 // statuses of routes, the most frequent
)

// DatabasePool is the utilization of the replicas' database connections.
type DatabasePool struct {
	// Utilization is the mean share of its connections that the busiest replica had in use, and PeakUtilization its
	// peak share; nil without a replica.
	Utilization     *float64  `json:"utilization"`
	PeakUtilization *float64  `json:"peak_utilization"`
	WorstReplica    string    `json:"worst_replica,omitempty"`
	Replicas        []Replica `json:"replicas"` // busiest first
}

// Replica is one replica's pool.
type Replica struct {
	Replica         string   `json:"replica"`
	Max             int32    `json:"max"`
	InUseMean       float64  `json:"in_use_mean"`
	InUsePeak       float64  `json:"in_use_peak"`
	Utilization     *float64 `json:"utilization"` // nil: the size of the pool is unknown
	PeakUtilization *float64 `json:"peak_utilization"`
	Acquires        int64    `json:"acquires"`
	EmptyAcquires   int64    `json:"empty_acquires"` // that waited
	WaitSeconds     float64  `json:"wait_seconds"`   // sum of all acquires
}

// Queries is the figures of database queries.
type Queries struct {
	Executed int64   `json:"executed"`
	Errors   int64   `json:"errors"`
	Latency  Latency `json:"latency_ms"`
	Slowest  []Query `json:"slowest"` // by p99, at most MaxQueries
}

// Query is the figures of one named query.
type Query struct {
	Name     string  `json:"name"`
	Executed int64   `json:"executed"`
	Errors   int64   `json:"errors"`
	Latency  Latency `json:"latency_ms"`
}

// Index is an index that Watchbill's speed depends on.
type Index struct {
	Table         string     `json:"table"`
	Name          string     `json:"name"`
	Columns       string     `json:"columns"`
	Exists        bool       `json:"exists"`
	Scans         int64      `json:"scans"`
	StatsSince    *time.Time `json:"stats_since"` // start of the count of scans; null: since the database was created
	LastUsed      *time.Time `json:"last_used"`
	Shape         string     `json:"shape,omitempty"` // the query that the index serves
	Plan          string     `json:"plan,omitempty"`  // PostgreSQL's plan for it
	PlanUsesIndex bool       `json:"plan_uses_index"`
}

// Errors counts responses with status 400 and above.
type Errors struct {
	Total    int64         `json:"total"`
	ByStatus map[int]int64 `json:"by_status"`
	ByRoute  []RouteErrors `json:"by_route"` // most frequent first, at most MaxErrors
}

// RouteErrors counts the responses of one route with one status.
type RouteErrors struct {
	Method string `json:"method"`
	Route  string `json:"route"`
	Status int    `json:"status"`
	Count  int64  `json:"count"`
}

// Pool returns the utilization of the replicas' connections, busiest replica first.
func Pool(f Facts) DatabasePool {
	pool := DatabasePool{Replicas: make([]Replica, 0, len(f.Pool))}
	for _, p := range f.Pool {
		r := Replica{
			Replica: p.Replica, Max: p.Max, InUseMean: p.InUseMean, InUsePeak: p.InUsePeak,
			Acquires: p.Acquires, EmptyAcquires: p.EmptyAcquires, WaitSeconds: p.WaitSeconds,
		}
		if p.Max > 0 {
			r.Utilization = new(p.InUseMean / float64(p.Max))
			r.PeakUtilization = new(p.InUsePeak / float64(p.Max))
		}
		pool.Replicas = append(pool.Replicas, r)
	}
	slices.SortFunc(pool.Replicas, func(a, b Replica) int {
		return cmp.Or(descending(a.Utilization, b.Utilization), cmp.Compare(a.Replica, b.Replica))
	})
	if len(pool.Replicas) > 0 && pool.Replicas[0].Utilization != nil {
		worst := pool.Replicas[0]
		pool.Utilization, pool.PeakUtilization = worst.Utilization, worst.PeakUtilization
		pool.WorstReplica = worst.Replica
	}
	return pool
}

// SlowQueries returns the figures of all queries together, and of the slowest by name.
func SlowQueries(f Facts) Queries {
	q := Queries{Slowest: make([]Query, 0, len(f.Queries))}
	var all sketch.Sketch
	for _, query := range f.Queries {
		q.Executed += query.Count
		q.Errors += query.Errors
		all.Merge(query.Latency)
		q.Slowest = append(q.Slowest, Query{query.Name, query.Count, query.Errors, latency(query.Latency)})
	}
	q.Latency = latency(&all)
	slices.SortFunc(q.Slowest, func(a, b Query) int {
		return cmp.Or(descending(a.Latency.P99, b.Latency.P99), cmp.Compare(a.Name, b.Name))
	})
	q.Slowest = q.Slowest[:min(len(q.Slowest), MaxQueries)]
	return q
}

func indexes(f Facts) []Index {
	all := make([]Index, len(f.Indexes))
	for i, index := range f.Indexes {
		all[i] = Index(index)
	}
	slices.SortFunc(all, func(a, b Index) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name))
	})
	return all
}

func errorCounts(f Facts) Errors {
	e := Errors{ByStatus: map[int]int64{}, ByRoute: []RouteErrors{}}
	for _, endpoint := range f.Endpoints {
		for status, n := range endpoint.ByStatus {
			if status < 400 || n == 0 {
				continue
			}
			e.Total += n
			e.ByStatus[status] += n
			e.ByRoute = append(e.ByRoute, RouteErrors{endpoint.Method, endpoint.Route, status, n})
		}
	}
	slices.SortFunc(e.ByRoute, func(a, b RouteErrors) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Route, b.Route),
			cmp.Compare(a.Method, b.Method), cmp.Compare(a.Status, b.Status))
	})
	e.ByRoute = e.ByRoute[:min(len(e.ByRoute), MaxErrors)]
	return e
}

// descending orders greater values first and unknown ones last.
func descending(a, b *float64) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return cmp.Compare(*b, *a)
}
