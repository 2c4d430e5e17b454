package metrics

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/sketch"
)

// UnmatchedRoute is the route of all requests whose path is not known.
const UnmatchedRoute = "unmatched"

// PollResult is how a poll for pending deployments ended.
type PollResult int

// The ways a poll can end.
const (
	PollDelivered    PollResult = iota // with deployments
	PollEmpty                          // with an empty list
	PollNotModified                    // 304
	PollUnavailable                    // 503: the mailbox does not know
	PollUnauthorized                   // 403 or 404, to a known caller
	pollResults
)

func (r PollResult) String() string {
	return [pollResults]string{"delivered", "empty", "not_modified", "unavailable", "unauthorized"}[r]
}

// Recorder counts requests and polls, for Prometheus and for the rollups. Counting takes no lock and some tens of
// nanoseconds; all series of a route are resolved when it is registered. Requests of known callers and those of others are
// counted apart.
type Recorder struct {
	created time.Time
	mu      sync.Mutex // held to register a route
	routes  atomic.Pointer[[]*Route]
	polls   shards[pollCounts]
	polled  [pollResults]uint64 // up to the last drain
	held    *heldCounts
	others  [others]*Route // what a minute keeps the others' answers under, of all routes
}

type pollCounts struct {
	results [pollResults]atomic.Uint64
	_       [64 - 8*pollResults]byte // a cache line of its own
}

// NewRecorder returns a recorder whose metrics reg has. The program started at created.
func NewRecorder(reg prometheus.Registerer, created time.Time) *Recorder {
	r := &Recorder{created: created, polls: newShards[pollCounts](), held: newHeldCounts()}
	r.others[observe.Unauthenticated] = &Route{method: AnyMethod, pattern: UnauthenticatedRoute}
	r.others[observe.Probe] = &Route{method: AnyMethod, pattern: ProbeRoute}
	r.routes.Store(new([]*Route))
	reg.MustRegister(r)
	return r
}

// Route is where the requests of one method and one path pattern are counted.
type Route struct {
	method, pattern string
	always          []int // status codes that are shown before they occur
	shards          shards[routeCounts]
	others          [others]otherCounts

	// What the last drain read.
	drained       routeTotals
	drainedOthers [others][maxStatusCodes]uint64
}

// otherCounts are the answers to others than known callers, since the start. Their latencies say nothing: many are
// refusals, and some of those are delayed on purpose.
type otherCounts struct {
	_        [64]byte // keeps them off the cache lines that known callers' requests touch
	statuses [maxStatusCodes]atomic.Uint64
}

type routeCounts struct {
	latencies
	statuses [maxStatusCodes]atomic.Uint64 // since the start
	in, out  atomic.Uint64                 // bytes, since the start
}

type routeTotals struct {
	statuses [maxStatusCodes]uint64
	in, out  uint64
}

// Route registers a route; to be called while wiring, for a pattern of ours and never for a path that a client sent.
// The same method and pattern give the same Route.
//
// Its counters for 200, 500, 503 and the codes given exist from now on, at 0: a series that begins at 1 has no increase as
// far as Prometheus can see, so the first error would go unnoticed.
func (r *Recorder) Route(method, pattern string, codes ...int) *Route {
	method = observe.MethodLabel(method)
	r.mu.Lock()
	defer r.mu.Unlock()
	routes := *r.routes.Load()
	if i := slices.IndexFunc(routes, func(rt *Route) bool { return rt.method == method && rt.pattern == pattern }); i >= 0 {
		return routes[i]
	}
	rt := &Route{
		method:  method,
		pattern: pattern,
		always:  append([]int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable}, codes...),
		shards:  newShards[routeCounts](),
	}
	routes = append(slices.Clone(routes), rt)
	r.routes.Store(&routes)
	return rt
}

// Unmatched returns the route for requests with an unknown path, one for each method; to be called per request.
func (r *Recorder) Unmatched(method string) *Route {
	method = observe.MethodLabel(method)
	for _, rt := range *r.routes.Load() {
		if rt.pattern == UnmatchedRoute && rt.method == method {
			return rt
		}
	}
	return r.Route(method, UnmatchedRoute, http.StatusNotFound, http.StatusMethodNotAllowed)
}

// ObserveOther counts an answer to an audience other than Known.
func (rt *Route) ObserveOther(audience observe.Audience, status int) {
	if counting {
		rt.others[audience].statuses[statusSlot(status)].Add(1)
	}
}

// Observe counts an answer to a known caller: its status, how long it took to be ready, and the bytes of the bodies. Status
// codes that HTTP does not define are counted as one.
func (rt *Route) Observe(status int, latency time.Duration, bytesIn, bytesOut int64) {
	if !counting {
		return
	}
	c := rt.shards.any()
	c.statuses[statusSlot(status)].Add(1)
	c.observe(latency)
	if bytesIn > 0 {
		c.in.Add(uint64(bytesIn))
	}
	if bytesOut > 0 {
		c.out.Add(uint64(bytesOut))
	}
}

// Poll counts how a known caller's poll ended.
func (r *Recorder) Poll(result PollResult) {
	if !counting {
		return
	}
	r.polls.any().results[result].Add(1)
}

// Totals are counts of known callers' requests since the program started.
type Totals struct {
	Requests     uint64
	ClientErrors uint64 // 4xx
	ServerErrors uint64 // 5xx
}

// Totals adds up the requests of all routes. It takes some microseconds.
func (r *Recorder) Totals() Totals {
	var t Totals
	for _, rt := range *r.routes.Load() {
		totals := rt.totals()
		for i, code := range statusCodes {
			t.Requests += totals.statuses[i]
			switch code / 100 {
			case 4:
				t.ClientErrors += totals.statuses[i]
			case 5:
				t.ServerErrors += totals.statuses[i]
			}
		}
	}
	return t
}

func (rt *Route) totals() routeTotals {
	var t routeTotals
	for _, c := range rt.shards {
		for i := range statusCodes {
			t.statuses[i] += c.statuses[i].Load()
		}
		t.in += c.in.Load()
		t.out += c.out.Load()
	}
	return t
}

func (r *Recorder) pollTotals() (totals [pollResults]uint64) {
	for _, c := range r.polls {
		for i := range totals {
			totals[i] += c.results[i].Load()
		}
	}
	return totals
}

// drain moves what came since the last drain to the minute. Only the flusher calls it. A request that is being counted
// meanwhile may have its status in this drain and its latency in the next; none is lost and none counts twice.
func (r *Recorder) drain(to *minute) {
	for _, rt := range *r.routes.Load() {
		rt.drain(to)
		for audience := range rt.others {
			rt.drainOthers(observe.Audience(audience), to, r.others[audience])
		}
	}
	r.held.drain(to)
	now := r.pollTotals()
	for i := range now {
		to.polls[i] += int64(now[i] - r.polled[i])
	}
	r.polled = now
}

func (rt *Route) drain(to *minute) {
	var latency sketch.Sketch
	for _, c := range rt.shards {
		c.drain(&latency)
	}
	now := rt.totals()
	if now == rt.drained && latency.Count() == 0 {
		return
	}
	totals := to.request(rt)
	totals.latency.Merge(&latency)
	totals.bytesIn += int64(now.in - rt.drained.in)
	totals.bytesOut += int64(now.out - rt.drained.out)
	for i, code := range statusCodes {
		if n := now.statuses[i] - rt.drained.statuses[i]; n > 0 {
			totals.byStatus[code] += int64(n)
		}
	}
	rt.drained = now
}

// drainOthers moves an audience's answers to what the minute keeps them under.
func (rt *Route) drainOthers(audience observe.Audience, to *minute, under *Route) {
	for i, code := range statusCodes {
		now, before := rt.others[audience].statuses[i].Load(), &rt.drainedOthers[audience][i]
		if now > *before {
			to.request(under).byStatus[code] += int64(now - *before)
			*before = now
		}
	}
}
