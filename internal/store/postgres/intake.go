package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// intake is what a transaction stores of a batch.
type intake struct {
	rows    []execution.Row
	from    []int           // the index in the batch of each row's execution
	merged  []int           // executions without a row of their own
	parts   []execution.Row // those merged into another of the same call, if that may still change
	erased  []int           // executions whose users were erased after they began
	partner []bool
	again   []bool // executions whose spans were stored before
	spans   []execution.Span
	copied  []int32 // the spans that are copied with the rows
	places  *places
	joined  []joinedExecution
	members map[int][]spanID // the spans merged into an execution, by its index in the batch
	lookups lookups
	early   []earlyCall
}

// intakeOf returns what is to be stored of a batch. It stores the batch's spans except, if copied is set, those that
// are copied later.
func (s *Executions) intakeOf(ctx context.Context, tx pgx.Tx, batch execution.Batch, f *family, copied bool) (*intake, error) {
	flags := make([]bool, 2*len(batch.Executions))
	in := &intake{spans: batch.Spans, partner: flags[:len(batch.Executions)], again: flags[len(batch.Executions):]}
	all := make([]execution.Row, len(batch.Executions))
	var inherited []string
	for i := range batch.Executions {
		e := &all[i].Execution
		*e = batch.Executions[i]
		if d := f.decision(i); d != nil && !d.Gone {
			d.WriteWithoutRest(e) // Settle adds the rest after the calls that may account for it had time to arrive
			if d.Reprice && s.price != nil {
				s.price(e)
			}
		}
		if e.AgentName != batch.Executions[i].AgentName {
			inherited = append(inherited, e.AgentName)
		}
	}
	if err := s.names.lookUp(ctx, tx, inherited); err != nil {
		return nil, err
	}
	erased, err := erasuresAmong(ctx, tx, len(all), func(i int) string { return all[i].UserID })
	if err != nil {
		return nil, err
	}
	places := newPlaces(f)
	in.rows, in.from = all[:0], make([]int, 0, len(all)) // filtered in place
	var left map[string]bool                             // ids of erased executions
	for i := range all {
		row := &all[i]
		if erased.cover(&row.Execution) {
			in.erased = append(in.erased, i)
			if left == nil {
				left = map[string]bool{}
			}
			left[row.ID] = true
			places.erase(f.at[i])
			continue
		}
		d := f.decision(i)
		switch {
		case d == nil:
		case d.Gone:
			in.merged = append(in.merged, i)
			places.leave(f.at[i])
			if d.Into >= 0 {
				if d.Missing != "" {
					in.parts = append(in.parts, *row)
				}
				in.joined = append(in.joined, mergedExecution(f.nodes[d.Into].Execution.ID, f.decisions[d.Into].User(), d.By, f.nodes[f.at[i]].Execution))
			}
			continue
		default:
			if f.nodes[f.at[i]].Role != execution.RoleNone {
				places.own(f.at[i], row.UserID)
			}
			if d.Kept {
				in.joined = append(in.joined, mergedExecution(row.ID, row.UserID, "", f.nodes[f.at[i]].Execution))
			}
		}
		row.Capped = s.names.capped(&row.Execution)
		n := len(in.rows)
		if in.rows = in.rows[:n+1]; n != i {
			in.rows[n] = *row
		}
		in.from = append(in.from, i)
	}
	if len(left) > 0 { // executions merged into an erased one are erased with it
		in.joined = slices.DeleteFunc(in.joined, func(j joinedExecution) bool {
			left[j.ID] = left[j.ID] || left[j.into]
			return left[j.into]
		})
		in.parts = slices.DeleteFunc(in.parts, func(row execution.Row) bool { return left[row.ID] })
	}
	in.spans = places.spans(batch.Spans)
	if err := s.findPartners(ctx, tx, f, in, places); err != nil {
		return nil, err
	}
	in.places = places
	fresh, err := s.keepSpans(ctx, tx, batch, in, copied)
	if err != nil {
		return nil, err
	}
	return in, s.dropJoined(ctx, tx, f, in, fresh)
}

// places is what is stored with a batch's spans: their keys, and the user of each span's row.
type places struct {
	keys   []spanKeys
	owners []string
	gone   []bool
	erased []bool // nil if there are none
}

func newPlaces(f *family) *places {
	p := &places{keys: make([]spanKeys, f.spans), owners: make([]string, f.spans), gone: make([]bool, f.spans)}
	for i := range p.keys {
		p.keys[i] = keysOf(f.nodes[i].Span, f.nodes[i].Execution)
	}
	return p
}

func (p *places) own(at int, user string) {
	if at < len(p.owners) {
		p.owners[at] = user
	}
}

func (p *places) leave(at int) {
	if at < len(p.gone) {
		p.gone[at] = true
	}
}

func (p *places) erase(at int) {
	if at < 0 || at >= len(p.gone) {
		return
	}
	if p.erased == nil {
		p.erased = make([]bool, len(p.gone))
	}
	p.erased[at], p.gone[at] = true, true // gone, so that duplicates are dropped
}

// spans returns a batch's spans, without user and session for those of erased executions.
func (p *places) spans(all []execution.Span) []execution.Span {
	if p.erased == nil {
		return all
	}
	scrubbed := make([]execution.Span, len(all))
	for i, span := range all {
		if p.erased[i] {
			span.User, span.Session = "", ""
		}
		scrubbed[i] = span
	}
	return scrubbed
}
