package execution

import (
	"encoding/json"
	"time"
)

// Kind is the kind of an execution.
type Kind string

// The kinds of executions.
const (
	Agent     Kind = "agent"     // an agent's run
	Inference Kind = "inference" // one call of a model
	Tool      Kind = "tool"      // one use of a tool
)

// Status is the outcome of an execution.
type Status string

// The statuses of executions. Totals count a timeout among the failed.
const (
	Success Status = "success"
	Failure Status = "failure"
	Timeout Status = "timeout"
)

// ParseStatus reads a status. It also accepts the words that deployments have for the same outcomes.
func ParseStatus(s string) (Status, bool) {
	switch s {
	case string(Success), "succeeded":
		return Success, true
	case string(Failure), "failed":
		return Failure, true
	case string(Timeout), "timed_out":
		return Timeout, true
	default:
		return Status(s), false
	}
}

const (
	// Unknown is the user or agent of a span that names none and has no ancestor that does.
	Unknown = "unknown"
	// Other is the name in figures of all agents and models beyond the limit of distinct names.
	Other = "other"
)

// Execution is a run of an agent, a call of a model or a use of a tool. (UserID, CreatedAt, ID) is its key: a second
// execution with the same key is a duplicate and changes nothing.
type Execution struct {
	ID        string
	CreatedAt time.Time // when it began, in UTC, to the microsecond

	UserID    string // never empty
	SessionID string
	RequestID string
	AgentName string
	Kind      Kind
	Variant   string // of an experiment

	Status       Status
	ErrorMessage string        // empty unless it failed
	Duration     time.Duration // to the microsecond

	Provider string // openai, anthropic, …
	Model    string
	Tokens   Tokens
	// Cost is in nano-USD; nil if the model has no price or input and output tokens are unknown.
	Cost         *int64
	PriceVersion string // of the price table that Cost comes from; empty: not priced yet
	Usage        Usage
	Billing      Billing
	ProviderCost *int64   // nano-USD charged according to the provider; nil if not reported
	Joined       []Joined // other spans of the same call

	Input, Output json.RawMessage // may be nil

	TraceID, SpanID, ParentSpanID string // lower-case hexadecimal; empty if it is not a span

	// Request reports whether it counts as a request. Calls and tool uses of an agent's run belong to the run's
	// request, so that a request counts once in every total.
	Request bool
}

// Tokens are the tokens that models consumed and produced. An execution's tokens count in every total. An agent's span
// repeats the usage of its calls: the part that no call accounts for is stored with the run's execution.
type Tokens struct {
	Input      int64 // including those read from a cache and written to one
	Output     int64 // including reasoning
	CacheRead  int64
	CacheWrite int64
	Reasoning  int64
	Used       int64 // Input + Output, or a total reported without them
}

// Add adds other's counts.
func (t *Tokens) Add(other Tokens) {
	t.Input = plus(t.Input, other.Input)
	t.Output = plus(t.Output, other.Output)
	t.CacheRead = plus(t.CacheRead, other.CacheRead)
	t.CacheWrite = plus(t.CacheWrite, other.CacheWrite)
	t.Reasoning = plus(t.Reasoning, other.Reasoning)
	t.Used = plus(t.Used, other.Used)
}

// Minus returns the negated counts.
func (t Tokens) Minus() Tokens {
	return Tokens{-t.Input, -t.Output, -t.CacheRead, -t.CacheWrite, -t.Reasoning, -t.Used}
}

// Distinguish reports whether input and output are known, not only a total, so that they can be priced.
func (t Tokens) Distinguish() bool { return t.Input > 0 || t.Output > 0 }

// Role is what a span represents.
type Role string

// The roles of spans.
const (
	RoleNone Role = ""     // not an execution; it may name the agent, user or session of spans below it
	RoleRun  Role = "run"  // an agent's run
	RoleStep Role = "step" // a run, or a step of the run that it lies in
	RoleCall Role = "call" // a call of a model
	RoleTool Role = "tool" // a use of a tool
)

// Span is a span's place in its trace and its information about other spans. Children usually arrive before the parent
// that names their agent.
type Span struct {
	TraceID, SpanID, ParentSpanID string // ParentSpanID is empty for the root
	Agent, User, Session          string // as named by the span itself; may be empty
	Execution                     bool   // an agent's run, a model's call or a tool's use; its children are not requests
	StartedAt, EndedAt            time.Time
	Role                          Role
	Status                        Status
	// DefaultName reports that Agent is a default of its framework, or the name of a workflow around agents, so that the
	// agent that acted below it is the better name.
	DefaultName bool
	// Cumulative reports that a tool's use is of a library whose next call reports the usage of the earlier calls as well.
	Cumulative bool
	// ResponseID is the provider's id of a call's response, if reported. Two spans with the same one are the same call.
	ResponseID string
	// Scope is the instrumentation that made the span, and Process a digest of its resource: a scope sees a call of its
	// process once.
	Scope, Process string
}

// Batch is one caller's executions and spans.
type Batch struct {
	Executions []Execution
	// Spans are the executions' spans and intermediate spans of the same traces.
	Spans []Span
}

// Outcome is the result of a batch.
type Outcome struct {
	Accepted   int // stored and committed
	Duplicates int // stored before, or twice in the batch
	Rejected   []Rejection
}

// Rejection is why one execution of a batch was rejected.
type Rejection struct {
	Index int // in the batch
	Fault
}

// plus returns the sum of two numbers, saturating at the largest and smallest.
func plus(a, b int64) int64 {
	sum := a + b
	switch {
	case a > 0 && b > 0 && sum < 0:
		return 1<<63 - 1
	case a < 0 && b < 0 && sum >= 0:
		return -1 << 63
	}
	return sum
}
