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

// UnmatchedRoute is the route of all requests whose path is unknown.
const UnmatchedRoute = "unmatched"

// PollResult is the outcome of a poll for pending deployments.
type PollResult int

// The outcomes of polls.
const (
	PollDelivered    PollResult = iota // with deployments
	PollEmpty                          // with an empty list
	PollNotModified                    // 304
	PollUnavailable                    // 503: the mailbox is not current
	PollUnauthorized                   // 403 or 404, to a known caller
	pollResults
)

func (r PollResult) String() string {
	return [pollResults]string{"delivered", "empty", "not_modified", "unavailable", "unauthorized"}[r]
}

// Recorder counts requests and polls, for Prometheus and for the rollups. Counting takes no lock and some tens of
// nanoseconds, since all series of a route are resolved when it is registered. Requests of known callers and of others
// are counted separately.
type Recorder struct {
	created time.Time
	mu      sync.Mutex // held to register a route
	routes  atomic.Pointer[[]*Route]
	polls   shards[pollCounts]
	polled  [pollResults]uint64 // up to the last drain
	held    *heldCounts
	others  [others]*Route // a minute's keys for responses to others, of all routes
}

type pollCounts struct {
	results [pollResults]atomic.Uint64
	_       [64 - 8*pollResults]byte // padding to a cache line
}

// NewRecorder returns a recorder whose metrics are registered with reg. created is the start of the program.
func NewRecorder(reg prometheus.Registerer, created time.Time) *Recorder {
	r := &Recorder{created: created, polls: newShards[pollCounts](), held: newHeldCounts()}
	r.others[observe.Unauthenticated] = &Route{method: AnyMethod, pattern: UnauthenticatedRoute}
	r.others[observe.Probe] = &Route{method: AnyMethod, pattern: ProbeRoute}
	r.routes.Store(new([]*Route))
	reg.MustRegister(r)
	return r
}

// Route has the counts of the requests with one method and one path pattern.
type Route struct {
	method, pattern string
	always          []int // status codes shown even before they occur
	shards          shards[routeCounts]
	others          [others]otherCounts

	// The totals up to the last drain.
	drained       routeTotals
	drainedOthers [others][maxStatusCodes]uint64
}

// otherCounts counts the responses to an audience other than Known since the start. Their latencies are not counted:
// many are refusals, some of which are delayed on purpose.
type otherCounts struct {
	_        [64]byte // separates them from the cache lines that known callers' requests use
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

// Route registers a route. It is called while wiring, with a pattern of the server and never with a client's path. The
// same method and pattern return the same Route.
//
// Its counters for 200, 500, 503 and the given codes exist from then on, at 0: Prometheus sees no increase in a series
// that begins at 1, so the first error would go unnoticed.
func (r *Recorder) Route(method, pattern string, codes ...int) *Route {
	return r.route(method, pattern, append([]int{http.StatusOK, http.StatusInternalServerError, http.StatusServiceUnavailable}, codes...))
}

// OpenRoute is Route for requests that never have a known caller, and so no counters of one.
func (r *Recorder) OpenRoute(method, pattern string) *Route { return r.route(method, pattern, nil) }

func (r *Recorder) route(method, pattern string, always []int) *Route {
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
		always:  always,
		shards:  newShards[routeCounts](),
	}
	routes = append(slices.Clone(routes), rt)
	r.routes.Store(&routes)
	return rt
}

// Unmatched returns the route for requests of a method with an unknown path. It may be called for each request.
func (r *Recorder) Unmatched(method string) *Route {
	method = observe.MethodLabel(method)
	for _, rt := range *r.routes.Load() {
		if rt.pattern == UnmatchedRoute && rt.method == method {
			return rt
		}
	}
	return r.Route(method, UnmatchedRoute, http.StatusNotFound, http.StatusMethodNotAllowed)
}

// ObserveOther counts a response to an audience other than Known.
func (rt *Route) ObserveOther(audience observe.Audience, status int) {
	rt.others[audience].statuses[statusSlot(status)].Add(1)
}

// Observe counts a response to a known caller: its status, the time until it was ready and the bytes of the bodies.
// Status codes that HTTP does not define are counted together.
func (rt *Route) Observe(status int, latency time.Duration, bytesIn, bytesOut int64) {
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

// Poll counts the outcome of a known caller's poll.
func (r *Recorder) Poll(result PollResult) {
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

// drain moves the counts since the last drain to the minute. Only the flusher calls it. The status of a request that is
// counted concurrently may be in this drain and its latency in the next; neither is lost or counted twice.
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

// drainOthers moves an audience's counts to the minute, with the key under.
func (rt *Route) drainOthers(audience observe.Audience, to *minute, under *Route) {
	for i, code := range statusCodes {
		now, before := rt.others[audience].statuses[i].Load(), &rt.drainedOthers[audience][i]
		if now > *before {
			to.request(under).byStatus[code] += int64(now - *before)
			*before = now
		}
	}
}
