package objective

import (
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
)

// Data is the measurements of a report's window, by which objectives are measured.
type Data interface {
	// Traffic is the requests to a method and a route; an empty one matches all.
	Traffic(method, route string) Traffic
	Queries() []Query
	// Pool is the connections of the replica that used the largest share of its own; false without a replica.
	Pool() (Pool, bool)
	// Polls is how often agents polled; false without agents or if no time was measured.
	Polls() (Polls, bool)
	// Executions is all executions of AI agents, in any order.
	Executions() []execution.Cell
	// Spent is the sum of all executions.
	Spent() execution.Spend
	// SpentByDay is the spend on each UTC day that overlaps the window, from the beginning of the day. It has at least
	// one day.
	SpentByDay() []execution.SpendOf
}

// Traffic is a number of requests.
type Traffic struct {
	Responses, Errors int64          // Errors: with status 5xx
	Latency           *sketch.Sketch // seconds
}

// Query is a named database query.
type Query struct {
	Name    string
	Latency *sketch.Sketch // seconds
}

// Pool is a replica's pool of database connections.
type Pool struct {
	Replica                      string
	Utilization, PeakUtilization float64 // shares of its connections in use
}

// Polls is how often agents polled.
type Polls struct {
	Agents   float64 // their mean number
	PerAgent float64 // polls per second and agent
	Expected float64 // the same, as the intervals hinted to the agents amount to; 0: none was hinted
	// Held is how many polls were held, and HeldIntervals for how many of the hinted intervals.
	Held          int64
	HeldIntervals float64
	Seconds       float64 // measured time
}
