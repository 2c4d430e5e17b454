package execution

import (
	"encoding/json"
	"time"
)

// Kind says what was executed.
type Kind string

// The kinds of executions.
const (
	Agent     Kind = "agent"     // an agent's run, whatever it called meanwhile
	Inference Kind = "inference" // one call of a model
	Tool      Kind = "tool"      // one use of a tool
)

// Status says how an execution ended.
type Status string

// The statuses of executions. Totals count a timeout among the failed.
const (
	Success Status = "success"
	Failure Status = "failure"
	Timeout Status = "timeout"
)

const (
	// Unknown stands for the user or the agent of a span that names none and has no ancestor that does.
	Unknown = "unknown"
	// Other stands in figures for the agents and models beyond those that are told apart.
	Other = "other"
)

// Execution is one run of an agent, call of a model or use of a tool. (UserID, CreatedAt, ID) is its key: whatever comes
// again with the same key is a duplicate and changes nothing.
type Execution struct {
	ID        string
	CreatedAt time.Time // when it began, in UTC, to the microsecond

	UserID    string // who asked for it; never empty
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
	// Cost is in nano-USD; nil where the model has no price, or the tokens are not told apart.
	Cost         *int64
	PriceVersion string // of the price table that Cost comes from; empty: not priced yet
	Usage        Usage
	Billing      Billing
	ProviderCost *int64   // nano-USD that the provider said it charges; nil: it did not say
	Joined       []Joined // other spans of the same call

	Input, Output json.RawMessage // nil: none

	TraceID, SpanID, ParentSpanID string // in lower-case hexadecimal; empty where it is no span

	// Request says that it counts as a request. What an agent's run called belongs to the run's request, so that a
	// request counts once in every total.
	Request bool
}

// Tokens is what models consumed and produced. An execution's tokens count in every total. An agent's span repeats what its calls
// used: of that, what no call accounts for is stored with the run's execution.
type Tokens struct {
	Input      int64 // those read from a cache and written to one included
	Output     int64 // reasoning included
	CacheRead  int64
	CacheWrite int64
	Reasoning  int64
	Used       int64 // Input + Output, or a total that came without them
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

// Minus returns the counts with the opposite sign, to take what was added away again.
func (t Tokens) Minus() Tokens {
	return Tokens{-t.Input, -t.Output, -t.CacheRead, -t.CacheWrite, -t.Reasoning, -t.Used}
}

// TellApart says whether input and output are known, not only a total: then they have a price.
func (t Tokens) TellApart() bool { return t.Input > 0 || t.Output > 0 }

// Role is what a span stands for.
type Role string

// The roles of spans.
const (
	RoleNone Role = ""     // it stands between others, and may name whom they belong to
	RoleRun  Role = "run"  // an agent's run
	RoleStep Role = "step" // a run, unless it lies within another: then a step of that
	RoleCall Role = "call" // a call of a model
	RoleTool Role = "tool" // a use of a tool
)

// Span is where something stands in its trace, and what it says of those around it. Children usually arrive before the
// parent that names their agent.
type Span struct {
	TraceID, SpanID, ParentSpanID string // ParentSpanID is empty for the root
	Agent, User, Session          string // that the span itself names; empty: none
	Execution                     bool   // an agent's run, a model's call or a tool's use, whose children are no requests
	StartedAt, EndedAt            time.Time
	Role                          Role
	Status                        Status
	// DefaultName reports that Agent is a default of its framework, or the name of a workflow around agents, so that the
	// agent that acted below it is the better name.
	DefaultName bool
	// Cumulative reports that a tool's use is of a library whose next call counts what the calls before it used as well.
	Cumulative bool
	// ResponseID is the provider's id of a call's answer; empty: not told. Two spans with the same one are the same call.
	ResponseID string
	// Scope is the instrumentation that made the span, and Process a digest of its resource: a scope sees a call of its
	// process once.
	Scope, Process string
}

// Batch is what one caller brings.
type Batch struct {
	Executions []Execution
	// Spans are those of the executions that are spans, and others of the same traces that stand between them.
	Spans []Span
}

// Outcome is what became of a batch.
type Outcome struct {
	Accepted   int // are stored and committed
	Duplicates int // were stored before, or came twice in the batch
	Rejected   []Rejection
}

// Rejection is why one execution of a batch was not taken.
type Rejection struct {
	Index int // in the batch
	Fault
}

// plus adds, and stops at the largest and smallest number instead of wrapping around.
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
