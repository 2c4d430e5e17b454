package execution

import "time"

// MaxCandidates is the maximum number of executions that a page of a search reads.
const MaxCandidates = 5_000

// Search selects executions. An empty field selects all.
type Search struct {
	Agent, Model             string
	SessionIDs, UserIDs      []string // any of them
	TraceID                  string   // in lower case
	ID                       string
	Statuses                 []Status // any of them
	Kind                     Kind
	Error                    string // contained in the error message, in any case
	MinDuration, MaxDuration *time.Duration
	MinCost, MaxCost         *int64 // nano-USD; an execution without a cost does not match
	From, To                 time.Time
}

// Found is a page of a search.
type Found struct {
	Executions []Execution // newest first, without payloads
	// End is the position that the search has reached: matches after it are on the next page. It is the zero value at
	// the end of the search.
	End Position
}

// Trace is the executions of a trace.
type Trace struct {
	Executions []Execution // the earliest first, without payloads
	Complete   bool        // it has no others
	// Parents has the parent of each known span of the trace that is not an execution.
	Parents map[string]string
}

// AppliedPrice is what a price list charges for an execution.
type AppliedPrice struct {
	Version, Model, Provider, Source string
	Rates                            map[string]float64 // USD per million tokens, by kind of token
}
