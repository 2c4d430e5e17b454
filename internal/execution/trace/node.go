package trace

import (
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// Node is a span with the execution made from it.
type Node struct {
	*execution.Span
	// Execution is the execution as received, before any decision. It is nil if the span is not an execution or its
	// execution is not known.
	Execution *execution.Execution
	// WeakResponse reports that the response id may not be unique. If it is false, the id itself is checked.
	WeakResponse bool
	// Partner is the id of the execution that an earlier decision joined with this one by similarity, or empty. They
	// stay joined unless stronger evidence contradicts.
	Partner string
}

// Decision is what to store for a node.
type Decision struct {
	// Gone reports that the node has no row of its own: it is a step of its run, or the same call as Into.
	Gone bool
	Into int    // the node of the same call that is kept; -1 if none
	By   string // why it is Gone: ByStep, or the reason of the merge

	// Merged is stored instead of the received execution; nil if that is stored, as changed by Write. Members are the
	// nodes that are Gone into this one.
	Merged  *execution.Execution
	Members []int
	Reprice bool // the cost does not match the counts

	// Kept reports that the received execution must be kept, since what is stored instead does not contain all of it.
	Kept bool
	// Rest is the part of a run's usage that no call in it accounts for. The calls may still arrive.
	Rest execution.Tokens

	// Missing is the id of the nearest span above that is not known and may still change something, or empty.
	Missing string

	names    names
	status   execution.Status
	message  string
	role     execution.Role
	within   bool   // in another execution
	model    string // of Rest
	provider string
}

// User returns the user of the execution, or execution.Unknown.
func (d *Decision) User() string {
	if d.names.user == "" {
		return execution.Unknown
	}
	return d.names.user
}

// Write changes e, the execution as received, as the decision requires. Merged replaces it if set. Names written by
// earlier decisions are overwritten.
func (d *Decision) Write(e *execution.Execution) {
	if d.Merged != nil {
		*e = *d.Merged
	}
	if d.role == execution.RoleRun || d.role == execution.RoleStep {
		d.account(e)
	}
	if d.role == execution.RoleNone { // the names were received with it
		d.names.complete(e)
		e.Request = e.Request && !d.within
		return
	}
	e.AgentName, e.UserID, e.SessionID = execution.Unknown, execution.Unknown, ""
	d.names.on(e)
	e.Request = d.role != execution.RoleTool && !d.within
	if d.Merged != nil {
		return
	}
	if d.status != "" {
		e.Status = d.status
	}
	switch {
	case e.Status == execution.Success:
		e.ErrorMessage = ""
	case d.message != "":
		e.ErrorMessage = d.message
	}
}

// account replaces a run's total usage, which includes its calls, with the part that no call accounts for.
func (d *Decision) account(e *execution.Execution) {
	uncount(e)
	if d.Rest.Used > 0 {
		e.Tokens, e.Model, e.Provider, e.Usage = d.Rest, d.model, d.provider, execution.UsageReported
	}
}

// WriteWithoutRest is like Write but ignores Rest. It is used while a run's calls may still arrive.
func (d *Decision) WriteWithoutRest(e *execution.Execution) {
	if d.Rest.Used == 0 {
		d.Write(e)
		return
	}
	without := *d
	without.Rest, without.model, without.provider = execution.Tokens{}, "", ""
	without.Write(e)
}

// Reasons why an execution has no row of its own.
const (
	ByResponse   = "response_id"
	ByParent     = "parent"
	BySimilarity = "similarity"
	ByStep       = "step"
)

// none is the index of no node.
const none = -1

// names are the agent, user and session of an execution; empty if not known.
type names struct{ agent, user, session string }

// claim is a value that several spans may set.
type claim struct {
	value string
	many  bool // and they differ
}

func (c *claim) add(other claim) {
	if c.many = c.many || other.many || c.value != "" && other.value != "" && c.value != other.value; c.value == "" {
		c.value = other.value
	}
}

// unanimous returns the value if all spans that set it agree, or "".
func (c *claim) unanimous() string {
	if c.many {
		return ""
	}
	return c.value
}

// node is a Node with what was derived about it.
type node struct {
	*Node
	duplicate int    // the earlier node with the same ids
	parent    int    // none for a root, or if not known
	missing   string // the id of the nearest span above that is not known
	adopted   bool   // the spans between it and the root are not known
	above     int    // the nearest enclosing execution; steps are not executions
	step      bool   // a step of its run
	reduced   bool   // its counts were reduced from the received ones
	wrapper   bool   // a call span that encloses several calls and is not one itself

	stated names // from the span, or for a run also from the spans below
	named  names // stated, completed from the spans above

	calls   bool  // a run that calls a model or a tool itself
	certain bool  // said.agent is not a default
	first   int   // the first direct sub-run with a certain name
	weak    int   // the first direct sub-run with any name
	last    int   // the direct sub-run that ended last
	ended   int   // the direct execution below that ended last
	final   int   // the direct child span that ended last, of any kind
	failed  int   // the node whose status the run has
	user    claim // of it and all spans below
	session claim

	group     int // of calls that are the same
	by        string
	ambiguous bool // its response id may not be unique
}

// executes reports whether the span is an execution.
func (n *node) executes() bool {
	return n.Span.Execution && n.Role == execution.RoleNone || n.Role != execution.RoleNone && !n.step
}

// run reports whether it is a separate run.
func (n *node) run() bool {
	return n.Role == execution.RoleRun || n.Role == execution.RoleStep && !n.step
}

func (n *node) call() bool { return n.Role == execution.RoleCall }

// status returns the span's own status. A run without one did not fail itself.
func (n *node) status() execution.Status {
	switch {
	case n.Status != "":
		return n.Status
	case n.Role == execution.RoleRun, n.Role == execution.RoleStep:
		return execution.Success
	case n.Execution != nil:
		return n.Execution.Status
	}
	return ""
}

func (n *node) failedItself() bool { return n.status() != execution.Success && n.status() != "" }

func (n *node) tokens() execution.Tokens {
	if n.Execution == nil {
		return execution.Tokens{}
	}
	return n.Execution.Tokens
}

func (n *node) counts() bool { return n.tokens().Used > 0 }

// told reports whether the counts are the provider's.
func (n *node) reported() bool { return n.counts() && n.Execution.Usage != execution.UsageEstimated }

func (n *node) id() string {
	if n.Execution != nil {
		return n.Execution.ID
	}
	return n.TraceID + "-" + n.SpanID
}

// Reports reports whether a call's span has no duration. No model call takes no time: such a span reports how another
// span's call ended.
func Reports(s *execution.Span) bool {
	return s.Role == execution.RoleCall && !s.StartedAt.IsZero() && s.StartedAt.Equal(s.EndedAt)
}

// PlainModel returns a model's name without the parts that differ between instrumentations of one call: the host, the
// region and the date.
func PlainModel(model string) string {
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	model = withoutHost(model)
	if i := strings.LastIndexAny(model, "@["); i > 0 { // Vertex AI's date, and Claude Code's context size
		model = model[:i]
	}
	for _, edition := range editions {
		if endsLike(model, edition) {
			model = model[:len(model)-len(edition)]
		}
	}
	return strings.ToLower(model)
}

// editions are suffixes of model names, in the order in which they are removed: Bedrock's version, then dates and
// version numbers.
var editions = []string{"-vd:d", "-latest", "-dddd-dd-dd", "-dddddddd", "-00d"}

// withoutHost removes a prefix that names the host of the model, as in openai:gpt-4o and
// us.anthropic.claude-sonnet-4-5. Such a prefix has no digits; names of models do.
func withoutHost(model string) string {
	for i := range len(model) {
		switch c := model[i]; {
		case c == '.' && i > 0 && i+1 < len(model):
			return withoutHost(model[i+1:])
		case c == ':' && i > 0 && model[:i] != "ft" && i+1 < len(model) && isLetter(model[i+1]) && strings.IndexByte(model[i:], '-') > 0:
			return model[i+1:]
		case !isLetter(c) && c != '-' && c != '_':
			return model
		}
	}
	return model
}

// endsLike reports whether s ends with a pattern in which d matches a digit.
func endsLike(s, pattern string) bool {
	if len(s) <= len(pattern) {
		return false
	}
	for i, c := range []byte(s[len(s)-len(pattern):]) {
		if p := pattern[i]; p == 'd' && (c < '0' || c > '9') || p != 'd' && c != p {
			return false
		}
	}
	return true
}

// compareTimes orders by time, then by id, so that the result does not depend on the order of arrival.
func compareTimes(a, b time.Time, aID, bID string) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	return strings.Compare(aID, bID)
}
