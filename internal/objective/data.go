package objective

import (
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
)

// Data provides the measurements of a report's window.
type Data interface {
	// Traffic returns the requests with a method and a route; an empty string matches all.
	Traffic(method, route string) Traffic
	Queries() []Query
	// Pool returns the database connections of the replica with the highest utilization, or false if there is no
	// replica.
	Pool() (Pool, bool)
	// Polls returns how often agents polled, or false if there are no agents or no time was measured.
	Polls() (Polls, bool)
	// Executions returns all executions of AI agents, in any order.
	Executions() []execution.Cell
	// Spent returns the sum of all executions.
	Spent() execution.Spend
	// SpentByDay returns the spend on each UTC day that overlaps the window, from the beginning of the day. It has at least
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
	Expected float64 // the same, if agents poll at the hinted intervals; 0: none was hinted
	// Held is how many polls were held, and HeldIntervals for how many of the hinted intervals.
	Held          int64
	HeldIntervals float64
	Seconds       float64 // measured time
}
