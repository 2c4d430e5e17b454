package execution

// Check returns a fault if a span cannot be stored. Its names have the limits of an execution's.
func (s Span) Check() *Fault {
	for _, text := range []struct {
		field, value string
		limit        int
		required     bool
	}{
		{"trace_id", s.TraceID, MaxID, true},
		{"span_id", s.SpanID, MaxID, true},
		{"parent_span_id", s.ParentSpanID, MaxID, false},
		{"agent_name", s.Agent, MaxName, false},
		{"user_id", s.User, MaxUser, false},
		{"session_id", s.Session, MaxUser, false},
	} {
		if fault := checkName(text.field, text.value, text.limit, text.required); fault != nil {
			return fault
		}
	}
	return nil
}
