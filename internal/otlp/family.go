package otlp

import "github.com/watchbill/watchbill/internal/usage"

// spanKey tells spans of one export apart.
type spanKey struct{ traceID, id string }

// family is how the spans of one export belong together.
type family struct {
	spans     map[spanKey]*span
	executing map[string]bool // the traces that have an execution in this export
}

// relate finds out what only other spans of the export can tell of each.
func relate(spans []*span) family {
	f := family{spans: make(map[spanKey]*span, len(spans)), executing: make(map[string]bool)}
	for _, s := range spans {
		if _, twice := f.spans[spanKey{s.traceID, s.id}]; !twice {
			f.spans[spanKey{s.traceID, s.id}] = s
		}
	}
	for _, s := range spans {
		s.parent = f.spans[spanKey{s.traceID, s.parentID}]
	}
	steps := make([]*span, 0)
	for _, s := range spans {
		above := s.within()
		if above == nil {
			continue
		}
		if s.role == chain && (above.role == chain || above.role == agentRun) {
			steps = append(steps, s)
		}
		if s.role == modelCall && above.role == modelCall && (counts(s) || !counts(above)) {
			above.wraps = true
		}
	}
	for _, s := range steps {
		s.role = bystander
	}
	for _, s := range spans {
		if _, executes := s.executes(); executes {
			f.executing[s.traceID] = true
		}
	}
	return f
}

// first says whether no other span with the same ids came before this one.
func (f family) first(s *span) bool { return f.spans[spanKey{s.traceID, s.id}] == s }

// within is the nearest execution that the export shows above a span. The way up is bounded: parents may go in circles.
func (s *span) within() *span {
	const mostSteps = 64
	above := s.parent
	for range mostSteps {
		if above == nil || above.role != bystander {
			break
		}
		above = above.parent
	}
	if above == nil || above.role == bystander || above == s {
		return nil
	}
	return above
}

// counts says whether a call of a model says how many tokens it used.
func counts(s *span) bool {
	for _, pair := range s.sent.GetAttributes() {
		value := pair.GetValue()
		text := value.GetStringValue()
		if usage.Attribute(pair.GetKey()).Counts(text) && (value.GetIntValue() > 0 || value.GetDoubleValue() > 0 || text != "" && text != "0") {
			return true
		}
	}
	return false
}
