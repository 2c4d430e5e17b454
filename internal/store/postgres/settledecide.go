package postgres

import (
	"context"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

// decide decides how the view's executions should be stored.
func (v *view) decide(ctx context.Context) error {
	nodes := make([]trace.Node, len(v.members))
	for i, m := range v.members {
		nodes[i] = trace.Node{Span: &m.span.Span, Execution: m.origin(), WeakResponse: m.span.keys.weak()}
		if m.joined != nil && m.joined.reason == trace.BySimilarity {
			nodes[i].Partner = m.joined.into
		}
	}
	decisions := trace.Decide(nodes)
	var inherited []string
	for i, m := range v.members {
		d := &decisions[i]
		if nodes[i].Execution == nil {
			continue
		}
		m.missing, m.by, m.user = d.Missing, d.By, d.User()
		m.merged = d.Kept
		for _, other := range d.Members {
			m.members = append(m.members, v.members[other])
		}
		if d.Gone {
			if d.Into >= 0 {
				m.into = v.members[d.Into]
			}
			continue
		}
		m.now = &execution.Row{Execution: *nodes[i].Execution}
		if m.unripe = d.Rest.Used > 0 && !m.ripe(); m.unripe {
			d.WriteWithoutRest(&m.now.Execution)
		} else {
			d.Write(&m.now.Execution)
		}
		if d.Reprice && v.s.price != nil {
			v.s.price(&m.now.Execution)
		}
		inherited = append(inherited, m.now.AgentName)
	}
	v.choose()
	if err := v.s.names.lookUp(ctx, v.tx, inherited); err != nil {
		return err
	}
	return v.dropErased(ctx)
}

// choose marks the executions whose decisions are applied: those of traces with due executions, and those that are, or
// were thought to be, the same calls as them.
func (v *view) choose() {
	byID, joined := make(map[string]*member, len(v.members)), map[string][]*member{}
	var next []*member
	for _, m := range v.members {
		byID[m.span.id()] = m
		if m.joined != nil && m.joined.into != "" {
			joined[m.joined.into] = append(joined[m.joined.into], m)
		}
		if v.ofDue[m.span.TraceID] || v.large[m.span.TraceID] || m.waits && m.span.Role == execution.RoleNone {
			next = append(next, m)
		}
	}
	for len(next) > 0 {
		m := next[len(next)-1]
		next = next[:len(next)-1]
		if m.touched {
			continue
		}
		m.touched = true
		next = append(append(next, m.members...), joined[m.span.id()]...)
		if m.into != nil {
			next = append(next, m.into)
		}
		if m.joined != nil {
			if before := byID[m.joined.into]; before != nil {
				next = append(next, before)
			}
		}
	}
}

// dropErased discards executions whose users were erased after they began.
func (v *view) dropErased(ctx context.Context) error {
	var touched []*member
	for _, m := range v.members {
		if m.touched && m.now != nil {
			touched = append(touched, m)
		}
	}
	erased, err := erasuresAmong(ctx, v.tx, len(touched), func(i int) string { return touched[i].now.UserID })
	if err != nil {
		return err
	}
	for _, m := range touched {
		if erased.cover(&m.now.Execution) {
			m.now, m.erased = nil, true
			for _, other := range m.members {
				other.into, other.by, other.erased = nil, "", true
			}
		}
	}
	return nil
}

// runsOfOthers returns runs whose own share of the usage may change: those in traces that were read for partners only
// and in which calls have changed.
func (v *view) runsOfOthers() (runs []spanID) {
	changed := map[string]bool{}
	for _, m := range v.members {
		if m.touched && !v.ofDue[m.span.TraceID] && m.span.Role == execution.RoleCall && m.changes() {
			changed[m.span.TraceID] = true
		}
	}
	for _, m := range v.members {
		if m.span.Role == execution.RoleRun && changed[m.span.TraceID] && (m.merged || m.joined != nil) {
			runs = append(runs, spanID{m.span.TraceID, m.span.SpanID})
		}
	}
	return runs
}

// changes reports whether the tokens that an execution counts change.
func (m *member) changes() bool {
	if m.now == nil || m.stored == nil {
		return (m.now == nil) != (m.stored == nil)
	}
	return m.now.Tokens != m.stored.Tokens
}
