package trace

import (
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// Node is a span, and the execution that was made of it.
type Node struct {
	*execution.Span
	// Execution is as it came, before anything was decided; nil where the span is none, or its execution is not known.
	Execution *execution.Execution
	// WeakResponse reports that other answers may have the response id as well; where it is false the id says itself.
	WeakResponse bool
	// Partner is the id of the execution that similarity found to be the same call before; empty: none. It stays so unless
	// something surer contradicts.
	Partner string
}

// Decision is what a node's execution should be.
type Decision struct {
	// Gone reports that it has no row of its own: it is a step of the run that it lies in, or the same call as Into.
	Gone bool
	Into int    // the node it is the same call as; -1: none
	By   string // what decided where Gone: ByStep, or the reason for the same call

	// Merged is what is stored instead of the execution that came; nil: that one, but for what Write changes. Members are the
	// nodes that are Gone into it.
	Merged  *execution.Execution
	Members []int
	Reprice bool // its cost is not that of its counts

	// Kept reports that what came is to be kept, since what is stored instead does not say all of it.
	Kept bool
	// Rest is what a run says that it used and no call in it accounts for. The calls may still come.
	Rest execution.Tokens

	// Missing is the id of the nearest span above that is not known and may still change something; empty: none.
	Missing string

	names    names
	status   execution.Status
	message  string
	role     execution.Role
	within   bool   // another execution
	model    string // of Rest
	provider string
}

// User is whose execution it is.
func (d *Decision) User() string {
	if d.names.user == "" {
		return execution.Unknown
	}
	return d.names.user
}

// Write makes an execution what it should be, whatever was decided about it before. It is that which came, unless others were merged
// into it.
func (d *Decision) Write(e *execution.Execution) {
	if d.Merged != nil {
		*e = *d.Merged
	}
	if d.role == execution.RoleRun || d.role == execution.RoleStep {
		d.account(e)
	}
	if d.role == execution.RoleNone { // it came with its names
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

// account has a run count what it used itself, in place of what it and all calls in it used.
func (d *Decision) account(e *execution.Execution) {
	uncount(e)
	if d.Rest.Used > 0 {
		e.Tokens, e.Model, e.Provider, e.Usage = d.Rest, d.model, d.provider, execution.UsageReported
	}
}

// WriteWithoutRest is Write where a run's calls may still come: it counts nothing itself.
func (d *Decision) WriteWithoutRest(e *execution.Execution) {
	if d.Rest.Used == 0 {
		d.Write(e)
		return
	}
	without := *d
	without.Rest, without.model, without.provider = execution.Tokens{}, "", ""
	without.Write(e)
}

// What decides that an execution has no row of its own.
const (
	ByResponse   = "response_id"
	ByParent     = "parent"
	BySimilarity = "similarity"
	ByStep       = "step"
)

// none is the index of no node.
const none = -1

// names are whom something belongs to; empty: not known.
type names struct{ agent, user, session string }

// claim is a value that several spans may name.
type claim struct {
	value string
	many  bool // and not all the same
}

func (c *claim) add(other claim) {
	if c.many = c.many || other.many || c.value != "" && other.value != "" && c.value != other.value; c.value == "" {
		c.value = other.value
	}
}

// unanimous is the value, if there is one and no other.
func (c *claim) unanimous() string {
	if c.many {
		return ""
	}
	return c.value
}

// node is what is found out about a Node.
type node struct {
	*Node
	twin    int    // the node with the same ids that came before
	parent  int    // none: the root, or not known
	missing string // the id of the nearest span above that is not known
	adopted bool   // what lies between it and the root is not known
	above   int    // the nearest execution above; steps are none
	step    bool   // of the run that it lies in
	reduced bool   // its execution counts less than the one that came
	wrapper bool   // a call around several, which is none itself

	said  names // by the span, or where it is a run by what is below it
	named names // said, or else what those above say

	calls   bool  // a run that calls a model or a tool itself
	certain bool  // said.agent is no default
	first   int   // the first run directly below that has a certain name
	weak    int   // the first run directly below that has any
	last    int   // the run directly below that ended last
	ended   int   // the execution directly below that ended last
	final   int   // the span directly below that ended last, of any kind
	failed  int   // the node whose status is the run's
	user    claim // of it and all below
	session claim

	group     int // of calls that are the same
	by        string
	ambiguous bool // others may have its response id as well
}

// executes reports whether the span is an execution.
func (n *node) executes() bool {
	return n.Span.Execution && n.Role == execution.RoleNone || n.Role != execution.RoleNone && !n.step
}

// run reports whether it is a run of its own.
func (n *node) run() bool {
	return n.Role == execution.RoleRun || n.Role == execution.RoleStep && !n.step
}

func (n *node) call() bool { return n.Role == execution.RoleCall }

// status is the span's own. A run that does not say how it ended did not fail itself.
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
func (n *node) told() bool { return n.counts() && n.Execution.Usage != execution.UsageEstimated }

func (n *node) id() string {
	if n.Execution != nil {
		return n.Execution.ID
	}
	return n.TraceID + "-" + n.SpanID
}

// Reports reports whether a call's span took no time. No model answers in none: the span reports how another one's call ended.
func Reports(s *execution.Span) bool {
	return s.Role == execution.RoleCall && !s.StartedAt.IsZero() && s.StartedAt.Equal(s.EndedAt)
}

// PlainModel is a model's name without what instrumentations of one call write differently: who hosts it and where, and its date.
func PlainModel(model string) string {
	if i := strings.LastIndexByte(model, '/'); i >= 0 {
		model = model[i+1:]
	}
	model = withoutHost(model)
	if i := strings.LastIndexAny(model, "@["); i > 0 { // Vertex AI's date, and Claude Code's of how much it reads
		model = model[:i]
	}
	for _, edition := range editions {
		if endsLike(model, edition) {
			model = model[:len(model)-len(edition)]
		}
	}
	return strings.ToLower(model)
}

// editions end names, in this order from the end: Bedrock's of how it is served, and dates or numbers of a model's versions.
var editions = []string{"-vd:d", "-latest", "-dddd-dd-dd", "-dddddddd", "-00d"}

// withoutHost cuts what stands before a name and says who hosts the model, as in openai:gpt-4o and us.anthropic.claude-sonnet-4-5. It
// has no digits, which names of models have.
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

// endsLike reports whether s ends like a pattern in which d stands for a digit.
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

// compareTimes orders by time, then by id, so that the order never depends on what came first.
func compareTimes(a, b time.Time, aID, bID string) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	return strings.Compare(aID, bID)
}
