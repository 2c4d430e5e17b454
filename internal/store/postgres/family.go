package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

// family is a batch's spans and executions, the spans above them that were stored before, and the decisions on all.
type family struct {
	nodes     []trace.Node // the batch's spans, then executions without a span in the batch, then spans stored before
	at        []int        // the node of each execution of the batch; -1 if it is not a span
	spans     int          // the number of nodes that are spans of the batch
	decisions []trace.Decision
	older     bool // some of the batch's spans have ancestors that were stored before
}

// familyOf decides how the executions of a batch are stored, from the batch and the spans above
// it that were stored before.
func (s *Executions) familyOf(ctx context.Context, tx pgx.Tx, batch execution.Batch) (*family, error) {
	f := newFamily(batch)
	f.decisions = trace.Decide(f.nodes)
	var traces, spans []string
	asked := map[[2]string]bool{}
	for _, i := range f.at {
		if i < 0 || f.decisions[i].Missing == "" {
			continue
		}
		key := [2]string{f.nodes[i].TraceID, f.decisions[i].Missing}
		if !asked[key] {
			asked[key] = true
			traces, spans = append(traces, key[0]), append(spans, key[1])
		}
	}
	if len(traces) == 0 {
		return f, nil
	}
	above, err := s.ancestors(ctx, tx, traces, spans)
	if err != nil || len(above) == 0 {
		return f, err
	}
	f.older = true
	for i := range above {
		f.nodes = append(f.nodes, trace.Node{Span: &above[i].Span, WeakResponse: above[i].keys.weak()})
	}
	f.decisions = trace.Decide(f.nodes)
	return f, nil
}

// newFamily matches a batch's executions with its spans. It is fast if they are in the same order,
// as they nearly always are.
func newFamily(batch execution.Batch) *family {
	f := &family{at: make([]int, len(batch.Executions)), spans: len(batch.Spans)}
	f.nodes = make([]trace.Node, len(batch.Spans), len(batch.Spans)+8)
	for i := range batch.Spans {
		f.nodes[i].Span = &batch.Spans[i]
	}
	var index map[[2]string]int
	next := 0
	for i := range batch.Executions {
		e := &batch.Executions[i]
		f.at[i] = -1
		if e.SpanID == "" {
			continue
		}
		at := next
		for at < len(batch.Spans) && (batch.Spans[at].SpanID != e.SpanID || batch.Spans[at].TraceID != e.TraceID) {
			at++
		}
		if at == len(batch.Spans) {
			if index == nil {
				index = make(map[[2]string]int, len(batch.Spans))
				for i, s := range slices.Backward(batch.Spans) {
					index[[2]string{s.TraceID, s.SpanID}] = i
				}
			}
			at = -1
			if known, found := index[[2]string{e.TraceID, e.SpanID}]; found {
				at = known
			}
		} else {
			next = at + 1
		}
		if at < 0 || f.nodes[at].Execution != nil { // its span is missing or belongs to another execution
			at = len(f.nodes)
			span := &execution.Span{TraceID: e.TraceID, SpanID: e.SpanID, ParentSpanID: e.ParentSpanID, Execution: true}
			if known, found := index[[2]string{e.TraceID, e.SpanID}]; found {
				span = &batch.Spans[known]
			}
			f.nodes = append(f.nodes, trace.Node{Span: span})
		}
		f.nodes[at].Execution = e
		f.at[i] = at
	}
	return f
}

// decision returns the decision on an execution of the batch, or nil if it is not a span.
func (f *family) decision(i int) *trace.Decision {
	if f.at[i] < 0 {
		return nil
	}
	return &f.decisions[f.at[i]]
}
