package report

import (
	"time"
)

// CoursePoint is the traffic in a part of a report's window. A figure without a sample is nil.
type CoursePoint struct {
	From           time.Time `json:"from"`
	To             time.Time `json:"to"`
	CoveredSeconds float64   `json:"covered_seconds"`
	Requests       int64     `json:"requests"`
	Errors         int64     `json:"errors"`        // 5xx
	ClientErrors   int64     `json:"client_errors"` // 4xx
	// Of the polls: percentiles in milliseconds, and the rate per agent polling.
	P50         *float64 `json:"poll_p50_ms,omitempty"`
	P95         *float64 `json:"poll_p95_ms,omitempty"`
	P99         *float64 `json:"poll_p99_ms,omitempty"`
	RPSPerAgent *float64 `json:"polls_per_agent,omitempty"`
}

// courseOf returns the traffic of each step of the window.
func courseOf(steps []Facts) []CoursePoint {
	if len(steps) == 0 {
		return nil
	}
	course := make([]CoursePoint, len(steps))
	for i, step := range steps {
		all, polls := step.tally("", ""), PendingDeployments(step)
		p := CoursePoint{From: step.Window.From, To: step.Window.To, CoveredSeconds: step.CoveredSeconds, RPSPerAgent: polls.RPSPerAgent}
		p.Requests, p.Errors, p.ClientErrors = all.counts()
		p.P50, p.P95, p.P99 = polls.Latency.P50, polls.Latency.P95, polls.Latency.P99
		course[i] = p
	}
	return course
}
