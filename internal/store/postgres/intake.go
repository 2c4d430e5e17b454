package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// intake is what of a batch is to be stored.
type intake struct {
	rows    []execution.Row
	from    []int           // the execution of the batch that each row is
	merged  []int           // those that have no row of their own
	parts   []execution.Row // those of them that are the same call as another, as long as that may change
	erased  []int           // those whose users were erased after they began
	partner []bool
	again   []bool // those whose spans came before
	spans   []execution.Span
	copied  []int32 // those of the spans that are copied with the rows
	places  *places
	joined  []joinedExecution
	members map[int][]spanID // of executions that several spans of the batch are
	lookups lookups
	early   []earlyCall
}

// intakeOf returns what of a batch's executions is to be stored. It stores the batch's spans, but for those that are copied later if
// they are to be.
func (s *Executions) intakeOf(ctx context.Context, tx pgx.Tx, batch execution.Batch, f *family, copied bool) (*intake, error) {
	flags := make([]bool, 2*len(batch.Executions))
	in := &intake{spans: batch.Spans, partner: flags[:len(batch.Executions)], again: flags[len(batch.Executions):]}
	all := make([]execution.Row, len(batch.Executions))
	var inherited []string
	for i := range batch.Executions {
		e := &all[i].Execution
		*e = batch.Executions[i]
		if d := f.decision(i); d != nil && !d.Gone {
			d.WriteWithoutRest(e) // Settle adds it, once the calls that may account for it had the time to come
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
	in.rows, in.from = all[:0], make([]int, 0, len(all)) // those that are kept move up
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
	if len(left) > 0 { // what is the same call as an erased one is erased with it
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

// places are what is stored beside a batch's spans: whose row each is.
type places struct {
	keys   []spanKeys
	owners []string
	gone   []bool
	erased []bool // nil: none
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
	p.erased[at], p.gone[at] = true, true // what comes again is dropped
}

// spans returns a batch's spans; those of executions that were erased lose what names the user.
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
