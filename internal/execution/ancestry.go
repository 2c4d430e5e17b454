package execution

// maxDepth bounds how far up a trace is looked. Agents that call agents do not go that deep; a hostile trace may.
const maxDepth = 64

// Ancestry finds spans by trace and span id.
type Ancestry map[[2]string]Span

// Put adds a span.
func (a Ancestry) Put(s Span) { a[[2]string{s.TraceID, s.SpanID}] = s }

// Check says whether a span may be kept: what it names has the bounds of an execution's names.
func (s Span) Check() *Fault {
	for _, text := range []struct {
		field, value string
		most         int
		required     bool
	}{
		{"trace_id", s.TraceID, MaxID, true},
		{"span_id", s.SpanID, MaxID, true},
		{"parent_span_id", s.ParentSpanID, MaxID, false},
		{"agent_name", s.Agent, MaxName, false},
		{"user_id", s.User, MaxUser, false},
		{"session_id", s.Session, MaxUser, false},
	} {
		if fault := checkName(text.field, text.value, text.most, text.required); fault != nil {
			return fault
		}
	}
	return nil
}

// Attribute fills in what an execution's ancestors know: the nearest one's agent, user and session where it names none
// itself, and that it belongs to a request if one of them is an execution. settled says that no span still to come could
// change that; else missing is the id of the next span to look for.
func (a Ancestry) Attribute(e *Execution) (settled bool, missing string) {
	parent := e.ParentSpanID
	for range maxDepth {
		if parent == "" || e.known() {
			return true, ""
		}
		s, found := a[[2]string{e.TraceID, parent}]
		if !found {
			return false, parent
		}
		e.inherit(s)
		parent = s.ParentSpanID
	}
	return true, ""
}

func (e *Execution) known() bool {
	return e.AgentName != Unknown && e.UserID != Unknown && e.SessionID != "" && !e.Request
}

func (e *Execution) inherit(s Span) {
	if e.AgentName == Unknown && s.Agent != "" {
		e.AgentName = s.Agent
	}
	if e.UserID == Unknown && s.User != "" {
		e.UserID = s.User
	}
	if e.SessionID == "" {
		e.SessionID = s.Session
	}
	if s.Execution {
		e.Request = false
	}
}
