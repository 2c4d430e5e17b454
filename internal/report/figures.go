package report

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/watchbill/watchbill/internal/sketch"
)

// Latency is in milliseconds; quantiles are within 1 %. All are nil without a sample.
type Latency struct {
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
	Max  *float64 `json:"max"`
}

// Traffic is a number of requests and their outcomes.
type Traffic struct {
	Requests int64 `json:"requests"`
	// RPS is requests per covered second; nil if no time was covered.
	RPS *float64 `json:"rps"`
	// ErrorRate is the share of 5xx in all responses, ClientErrorRate that of 4xx; nil without a response.
	ErrorRate       *float64 `json:"error_rate"`
	ClientErrorRate *float64 `json:"client_error_rate"`
	// ErrorsByStatus counts the responses with status 400 and above.
	ErrorsByStatus map[int]int64 `json:"errors_by_status"`
	Latency        Latency       `json:"latency_ms"`
}

// Endpoint is the traffic of one method and route.
type Endpoint struct {
	Method string `json:"method"`
	Route  string `json:"route"`
	Traffic
}

// AgentCounts is the number of agents in each state at the end of the window.
type AgentCounts struct {
	Online  int64 `json:"online"`
	Late    int64 `json:"late"`
	Offline int64 `json:"offline"`
}

// PollCounts is the number of polls by outcome.
type PollCounts struct {
	Empty       int64 `json:"empty"`
	NotModified int64 `json:"not_modified"`
	Delivered   int64 `json:"delivered"`
	Failed      int64 `json:"failed"`
}

// Pending is the traffic of the route that agents poll, and how often they poll it.
type Pending struct {
	Endpoint
	// Agents is the number of agents online or late at the end of the window.
	Agents int64 `json:"agents"`
	// MeanAgents is their mean number over the window.
	MeanAgents float64 `json:"mean_agents"`
	// RPSPerAgent is RPS / MeanAgents; nil without agents. ExpectedRPSPerAgent is the rate that the poll intervals last
	// hinted to them amount to.
	RPSPerAgent         *float64 `json:"rps_per_agent"`
	ExpectedRPSPerAgent *float64 `json:"expected_rps_per_agent"`
	// EmptyRatio is the share of polls without work (empty or not modified) in all that did not fail; nil without any.
	EmptyRatio *float64   `json:"empty_ratio"`
	Polls      PollCounts `json:"polls"`
}

// Summary is the totals of the window, over all routes. Traffic is that of clients with a valid token.
type Summary struct {
	Traffic
	Unauthenticated Others           `json:"unauthenticated"` // without a valid token
	Probes          Others           `json:"probes"`          // health checks
	BytesIn         int64            `json:"bytes_in"`
	BytesOut        int64            `json:"bytes_out"`
	Agents          AgentCounts      `json:"agents"`
	Deployments     map[string]int64 `json:"deployments"` // by status, at the end of the window
}

// Endpoints returns the traffic of each route, ordered by route and method.
func Endpoints(f Facts) []Endpoint {
	endpoints := make([]Endpoint, 0, len(f.Endpoints))
	for _, e := range f.Endpoints {
		var t tally
		t.add(e)
		endpoints = append(endpoints, Endpoint{e.Method, e.Route, t.traffic(f.CoveredSeconds)})
	}
	slices.SortFunc(endpoints, func(a, b Endpoint) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
	return endpoints
}

// PendingDeployments returns the traffic of the poll route. Without a poll its figures are nil.
func PendingDeployments(f Facts) Pending {
	t := f.tally(PendingMethod, PendingRoute)
	p := Pending{
		Endpoint:   Endpoint{PendingMethod, PendingRoute, t.traffic(f.CoveredSeconds)},
		Agents:     f.Agents.Online + f.Agents.Late,
		MeanAgents: f.Agents.Polling,
		EmptyRatio: ratio(f.Polls.Empty+f.Polls.NotModified, f.Polls.Empty+f.Polls.NotModified+f.Polls.Delivered),
		Polls:      PollCounts{f.Polls.Empty, f.Polls.NotModified, f.Polls.Delivered, f.Polls.Failed},
	}
	if f.Agents.Polling > 0 {
		p.ExpectedRPSPerAgent = new(f.Agents.ExpectedRPS / f.Agents.Polling)
		if p.RPS != nil {
			p.RPSPerAgent = new(*p.RPS / f.Agents.Polling)
		}
	}
	return p
}

// Summarize returns the totals of all routes.
func Summarize(f Facts) Summary {
	t := f.tally("", "")
	s := Summary{
		Traffic:         t.traffic(f.CoveredSeconds),
		Unauthenticated: othersOf(f.Unauthenticated), Probes: othersOf(f.Probes),
		BytesIn:     t.bytesIn,
		BytesOut:    t.bytesOut,
		Agents:      AgentCounts{f.Agents.Online, f.Agents.Late, f.Agents.Offline},
		Deployments: map[string]int64{},
	}
	maps.Copy(s.Deployments, f.Deployments)
	return s
}

// Coverage returns the window and for how long it was measured.
func (f Facts) Coverage() Coverage { return Coverage{f.Window, f.CoveredSeconds} }

// tally is the sum of endpoints.
type tally struct {
	byStatus          map[int]int64
	latency           sketch.Sketch
	bytesIn, bytesOut int64
}

// tally adds up the endpoints with a method and a route; an empty one matches all.
func (f Facts) tally(method, route string) tally {
	var t tally
	for _, e := range f.Endpoints {
		if (method == "" || e.Method == method) && (route == "" || e.Route == route) {
			t.add(e)
		}
	}
	return t
}

func (t *tally) add(e EndpointFacts) {
	if t.byStatus == nil {
		t.byStatus = map[int]int64{}
	}
	for status, n := range e.ByStatus {
		t.byStatus[status] += n
	}
	t.latency.Merge(e.Latency)
	t.bytesIn += e.BytesIn
	t.bytesOut += e.BytesOut
}

// counts returns the number of all responses, of 5xx and of 4xx.
func (t *tally) counts() (all, errors, clientErrors int64) {
	for status, n := range t.byStatus {
		all += n
		switch {
		case status >= 500:
			errors += n
		case status >= 400:
			clientErrors += n
		}
	}
	return all, errors, clientErrors
}

func (t *tally) traffic(coveredSeconds float64) Traffic {
	all, errors, clientErrors := t.counts()
	traffic := Traffic{
		Requests:        all,
		ErrorRate:       ratio(errors, all),
		ClientErrorRate: ratio(clientErrors, all),
		ErrorsByStatus:  map[int]int64{},
		Latency:         latency(&t.latency),
	}
	if coveredSeconds > 0 {
		traffic.RPS = new(float64(all) / coveredSeconds)
	}
	for status, n := range t.byStatus {
		if status >= 400 && n > 0 {
			traffic.ErrorsByStatus[status] = n
		}
	}
	return traffic
}

func latency(s *sketch.Sketch) Latency {
	return Latency{
		Mean: milliseconds(s.Mean()),
		P50:  milliseconds(s.Quantile(0.50)),
		P95:  milliseconds(s.Quantile(0.95)),
		P99:  milliseconds(s.Quantile(0.99)),
		Max:  milliseconds(s.Max()),
	}
}

// milliseconds converts the result of a sketch, rounded to the nanosecond.
func milliseconds(seconds float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	return new(math.Round(seconds*1e9) / 1e6)
}

func ratio(part, whole int64) *float64 {
	if whole <= 0 {
		return nil
	}
	return new(float64(part) / float64(whole))
}
