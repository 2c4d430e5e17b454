package report

import (
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/sketch"
)

// The route that agents poll, as recorded.
const (
	PendingMethod = objective.PendingMethod
	PendingRoute  = objective.PendingRoute
)

// Facts is the measurements of a window, over all replicas.
type Facts struct {
	Window Window
	// CoveredSeconds is for how long at least one replica measured.
	CoveredSeconds float64
	Endpoints      []EndpointFacts // one per method and route; requests of known callers
	// Unauthenticated and Probes are the responses, by status, to clients without a valid token and to health checks.
	// They are in no other figure.
	Unauthenticated, Probes map[int]int64

	Polls       PollFacts
	Agents      AgentFacts
	Deployments map[string]int64 // number by status, as last counted in the window
	Pool        []PoolFacts      // one per replica
	Queries     []QueryFacts     // one per name
	Indexes     []IndexFacts

	// Executions is all executions of AI agents in the window, in any order.
	Executions []execution.Cell
	// Days is their cost on each UTC day of the window; SpendOf.Key is the day as 2006-01-02. Days without executions
	// may be missing. Of the first and last day only the part in the window counts.
	Days []execution.SpendOf
	// SpentBefore is the cost on the first day before the window: daily budgets need the whole day.
	SpentBefore execution.Spend
	Users       UserFacts
	// Steps is the traffic, the polls and the polling agents of consecutive parts of the window.
	Steps []Facts
}

// UserFacts is the users of executions. Spend.Requests counts requests as everywhere.
type UserFacts struct {
	// Window is the window of the figures: Facts.Window, widened to whole quarter hours, by which users are counted.
	// The zero value means Facts.Window.
	Window Window
	// Active is the number of users with a request or tokens, with execution.Unknown as one. Users with only uses of
	// tools, whose request began before the window, are not included, since users' rollups do not count those.
	Active int64
	// Dearest is the MaxNamed users with the highest cost, or with the most tokens among equal costs, or all if there
	// are fewer. SpendOf.Key is the user.
	Dearest []execution.SpendOf
	// Others is the sum of all other users.
	Others execution.Spend
}

// EndpointFacts counts the requests of clients with a valid token to one method and route pattern.
type EndpointFacts struct {
	Method, Route string
	ByStatus      map[int]int64 // all requests, by status of the response
	// Latency is in seconds until the response was ready, without the time that a poll was deliberately held.
	Latency           *sketch.Sketch
	BytesIn, BytesOut int64
}

// PollFacts counts polls of clients with a valid token by outcome.
type PollFacts struct {
	Empty       int64 // 200 without a deployment
	NotModified int64 // 304
	Delivered   int64 // 200 with deployments
	Failed      int64 // 4xx and 5xx
	// Held is how many of these were held, and HeldIntervals for how many of the poll intervals hinted to the agents.
	Held          int64
	HeldIntervals float64
}

// AgentFacts is the number of agents and their expected poll rate.
type AgentFacts struct {
	// Polling is the number of agents online or late, as a mean over the covered time.
	Polling float64
	// ExpectedRPS is the sum over those agents of 1/interval, as a mean over the covered time; interval is the poll
	// interval last hinted to the agent, in seconds.
	ExpectedRPS float64
	// Online, Late and Offline are the number of agents in each state, as last counted in the window.
	Online, Late, Offline int64
}

// PoolFacts is one replica's pool of database connections.
type PoolFacts struct {
	Replica              string
	Max                  int32   // maximum number of connections
	InUseMean, InUsePeak float64 // connections in use, over the replica's covered time
	Acquires             int64
	EmptyAcquires        int64   // that waited, since no connection was free
	WaitSeconds          float64 // sum of all acquires
}

// QueryFacts is one named database query.
type QueryFacts struct {
	Name          string
	Count, Errors int64
	Latency       *sketch.Sketch // seconds
}

// IndexFacts is one index that Watchbill's speed depends on, with its use by PostgreSQL.
type IndexFacts struct {
	Table, Name, Columns string
	Exists               bool
	Scans                int64      // since StatsSince
	StatsSince           *time.Time // nil: since the database was created
	LastUsed             *time.Time // nil: never, or unknown
	Shape                string     // the query that the index serves; empty: none in particular
	Plan                 string     // PostgreSQL's plan for it, in one line
	PlanUsesIndex        bool
}
