package report

import (
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// The route that agents poll, as requests to it are recorded.
const (
	PendingMethod = "GET"
	PendingRoute  = "/api/deployments/pending/{agent_id}"
)

// Facts is what was measured in a window, over all replicas.
type Facts struct {
	Window Window
	// CoveredSeconds is for how much of the window at least one replica measured.
	CoveredSeconds float64
	Endpoints      []EndpointFacts // each method and route once
	Polls          PollFacts
	Agents         AgentFacts
	Deployments    map[string]int64 // how many had each status when it was last counted in the window
	Pool           []PoolFacts      // each replica once
	Queries        []QueryFacts     // each name once
	Indexes        []IndexFacts
}

// EndpointFacts counts the requests to one method and route, a pattern.
type EndpointFacts struct {
	Method, Route string
	ByStatus      map[int]int64 // every request, by the status that answered it
	// Latency is in seconds, from when an answer was ready: the time that a poll was deliberately held is not in it.
	Latency           *sketch.Sketch
	BytesIn, BytesOut int64
}

// PollFacts counts polls by how they ended.
type PollFacts struct {
	Empty       int64 // 200 without a deployment
	NotModified int64 // 304
	Delivered   int64 // 200 with deployments
	Failed      int64 // 4xx and 5xx
}

// AgentFacts is how many agents there were and how often they should have polled.
type AgentFacts struct {
	// Polling is the mean number of agents online or late, over the covered time.
	Polling float64
	// ExpectedRPS is the sum over those agents of 1/interval, the interval being what each was last told to poll at, in
	// seconds; the mean over the covered time.
	ExpectedRPS float64
	// Online, Late and Offline are how many agents were so when they were last counted in the window.
	Online, Late, Offline int64
}

// PoolFacts is one replica's pool of database connections.
type PoolFacts struct {
	Replica              string
	Max                  int32   // connections it may open
	InUseMean, InUsePeak float64 // connections in use, over the replica's covered time
	Acquires             int64
	EmptyAcquires        int64   // that had to wait, since no connection was free
	WaitSeconds          float64 // that acquires waited, all together
}

// QueryFacts is one named database query.
type QueryFacts struct {
	Name          string
	Count, Errors int64
	Latency       *sketch.Sketch // seconds
}

// IndexFacts is one index that the product's speed depends on, and what PostgreSQL makes of it.
type IndexFacts struct {
	Table, Name, Columns string
	Exists               bool
	Scans                int64      // since StatsSince
	StatsSince           *time.Time // nil: since the database was made
	LastUsed             *time.Time // nil: never, or not known
	Shape                string     // the query that the index is there for; empty: none in particular
	Plan                 string     // how PostgreSQL would run it, in a line
	PlanUsesIndex        bool
}
