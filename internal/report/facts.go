package report

import (
	"time"

	"github.com/watchbill/watchbill/internal/execution"
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
	Endpoints      []EndpointFacts // each method and route once; what known callers were answered
	// Unauthenticated and Probes are the answers, by status, to callers without a valid token and to health checks. They are
	// in no other figure.
	Unauthenticated, Probes map[int]int64

	Polls       PollFacts
	Agents      AgentFacts
	Deployments map[string]int64 // how many had each status when it was last counted in the window
	Pool        []PoolFacts      // each replica once
	Queries     []QueryFacts     // each name once
	Indexes     []IndexFacts

	// Executions is all that AI agents executed in the window, in any order.
	Executions []execution.Cell
	// Days is what they cost on each UTC day of the window; SpendOf.Key is the day as 2006-01-02. A day without
	// executions may be missing. Of the window's first and last day only what lies in the window counts, …
	Days []execution.SpendOf
	// … and SpentBefore is what was spent on its first day before it began: a budget of a day knows no windows.
	SpentBefore execution.Spend
	Users       UserFacts
}

// UserFacts is who executions were made for. Spend.Requests counts what counts as a request, everywhere.
type UserFacts struct {
	// Window is what the figures are of: Facts.Window, widened to the quarter hours that users are counted by. The zero
	// value is Facts.Window itself.
	Window Window
	// Active is how many users had a request or used tokens, execution.Unknown counted as one. Of whom there are only uses of
	// tools, whose request began before the window, is not among them: users' rollups do not count those.
	Active int64
	// Dearest is the MostNamed users of the highest cost, or of the most tokens where costs are equal; or all, if there
	// are no more. SpendOf.Key is the user.
	Dearest []execution.SpendOf
	// Others is all other users together.
	Others execution.Spend
}

// EndpointFacts counts the requests of callers with a valid token to one method and route, a pattern.
type EndpointFacts struct {
	Method, Route string
	ByStatus      map[int]int64 // every request, by the status that answered it
	// Latency is in seconds, from when an answer was ready: the time that a poll was deliberately held is not in it.
	Latency           *sketch.Sketch
	BytesIn, BytesOut int64
}

// PollFacts counts polls of callers with a valid token by how they ended.
type PollFacts struct {
	Empty       int64 // 200 without a deployment
	NotModified int64 // 304
	Delivered   int64 // 200 with deployments
	Failed      int64 // 4xx and 5xx
	// Held is how many of these were held, and HeldIntervals for how many of the intervals that agents were told to poll at.
	Held          int64
	HeldIntervals float64
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
