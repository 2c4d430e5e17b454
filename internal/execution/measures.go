package execution

import "github.com/watchbill/watchbill/internal/sketch"

// Measures are sums over executions. They consist of integers, so that what was added can be subtracted exactly, in any
// order.
type Measures struct {
	Count    int64
	Micros   int64 // duration in microseconds
	Tokens   Tokens
	Cost     int64 // nano-USD, of executions with a price
	Unpriced int64 // tokens in no cost
	Evidence
	// Durations are in seconds.
	Durations sketch.Distribution
}

// Add adds an execution with sign 1 and subtracts it with sign -1.
func (m *Measures) Add(e *Execution, sign int64) {
	m.addFigures(e, sign)
	m.Durations.Add(e.Duration.Seconds(), sign)
}

// addFigures is Add without Durations.
func (m *Measures) addFigures(e *Execution, sign int64) {
	m.Count += sign
	m.Micros = plus(m.Micros, sign*e.Duration.Microseconds())
	tokens := e.Tokens
	if sign < 0 {
		tokens = tokens.Minus()
	}
	m.Tokens.Add(tokens)
	if e.Cost != nil {
		m.Cost = plus(m.Cost, sign**e.Cost)
	}
	m.Unpriced = plus(m.Unpriced, sign*e.UnpricedTokens())
	m.Evidence.Add(evidenceOf(e, sign))
}

// Merge adds other.
func (m *Measures) Merge(other Measures) {
	m.Count = plus(m.Count, other.Count)
	m.Micros = plus(m.Micros, other.Micros)
	m.Tokens.Add(other.Tokens)
	m.Cost = plus(m.Cost, other.Cost)
	m.Unpriced = plus(m.Unpriced, other.Unpriced)
	m.Evidence.Add(other.Evidence)
	m.Durations.Merge(other.Durations)
}

// Cell is the sum of the executions of one agent, model and status.
type Cell struct {
	Agent   string // or Other
	Model   string // or Other; empty: no model
	Status  Status
	Request bool // whether they count as requests; others are parts of requests
	Measures
}
