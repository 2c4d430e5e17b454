package execution_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
)

// rows returns a generator of rows that often share cells.
func rows() *rapid.Generator[[]execution.Row] {
	name := rapid.SampledFrom([]string{"a", "b", execution.Unknown, execution.Other})
	one := rapid.Custom(func(t *rapid.T) execution.Row {
		e := rapid.SampledFrom(executions().Filter(func(all []execution.Execution) bool { return len(all) > 0 }).Draw(t, "of")).Draw(t, "one")
		e.CreatedAt = noon.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "at")))
		e.UserID, e.AgentName, e.Model = name.Draw(t, "user"), name.Draw(t, "agent"), rapid.SampledFrom([]string{"", "m", "n"}).Draw(t, "model")
		e.Status = rapid.SampledFrom([]execution.Status{execution.Success, execution.Failure, execution.Timeout}).Draw(t, "status")
		e.Request = rapid.Bool().Draw(t, "request")
		return execution.Row{Execution: e, Capped: execution.Capped(rapid.Int16Range(0, 3).Draw(t, "capped"))}
	})
	return rapid.SliceOfN(one, 1, 20)
}

// notNothing drops the entries of d that add up to zero.
func notNothing(d execution.Deltas) execution.Deltas {
	some := execution.NewDeltas()
	for key, m := range d.Cells {
		if !cmp.Equal(*m, execution.Measures{}, sameMeasures) {
			some.Cells[key] = m
		}
	}
	for key, s := range d.Users {
		if *s != (execution.Spend{}) {
			some.Users[key] = s
		}
	}
	return some
}

func TestDeltasOfOne(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 10, 44, 59, 999_999_000, time.UTC)
	row := execution.Row{Execution: execution.Execution{
		CreatedAt: at, UserID: "ada", AgentName: "tutor", Model: "gpt-5", Status: execution.Failure, Duration: 1500 * time.Millisecond,
		Tokens: execution.Tokens{Input: 10, Output: 5, CacheRead: 3, CacheWrite: 2, Reasoning: 1, Used: 15}, Cost: new(int64(42)), Request: true,
	}}
	minute, quarter := at.Truncate(time.Minute).Unix(), at.Truncate(15*time.Minute).Unix()
	for name, tt := range map[string]struct {
		change func(*execution.Row)
		cell   execution.CellKey
		user   execution.UserKey
		spend  execution.Spend
	}{
		"a request": {
			func(*execution.Row) {},
			execution.CellKey{Minute: minute, Agent: "tutor", Model: "gpt-5", Status: execution.Failure, Request: true},
			execution.UserKey{Quarter: quarter, User: "ada", Model: "gpt-5"},
			execution.Spend{Requests: 1, Tokens: row.Tokens, Cost: 42},
		},
		"a part of one": {
			func(r *execution.Row) { r.Request = false },
			execution.CellKey{Minute: minute, Agent: "tutor", Model: "gpt-5", Status: execution.Failure},
			execution.UserKey{Quarter: quarter, User: "ada", Model: "gpt-5"},
			execution.Spend{Tokens: row.Tokens, Cost: 42},
		},
		"without a price": {
			func(r *execution.Row) { r.Cost = nil },
			execution.CellKey{Minute: minute, Agent: "tutor", Model: "gpt-5", Status: execution.Failure, Request: true},
			execution.UserKey{Quarter: quarter, User: "ada", Model: "gpt-5"},
			execution.Spend{Requests: 1, Tokens: row.Tokens, Unpriced: 15},
		},
		"of an agent that is not told apart": {
			func(r *execution.Row) { r.Capped = execution.CappedAgent },
			execution.CellKey{Minute: minute, Agent: execution.Other, Model: "gpt-5", Status: execution.Failure, Request: true},
			execution.UserKey{Quarter: quarter, User: "ada", Model: "gpt-5"},
			execution.Spend{Requests: 1, Tokens: row.Tokens, Cost: 42},
		},
		"of a model that is not": {
			func(r *execution.Row) { r.Capped = execution.CappedModel },
			execution.CellKey{Minute: minute, Agent: "tutor", Model: execution.Other, Status: execution.Failure, Request: true},
			execution.UserKey{Quarter: quarter, User: "ada", Model: execution.Other},
			execution.Spend{Requests: 1, Tokens: row.Tokens, Cost: 42},
		},
		"without a model, of another zone": {
			func(r *execution.Row) {
				r.Model, r.CreatedAt = "", time.Date(2026, 3, 1, 0, 0, 0, 0, time.FixedZone("Chatham", 12*3600+45*60))
			},
			execution.CellKey{Minute: time.Date(2026, 2, 28, 11, 15, 0, 0, time.UTC).Unix(), Agent: "tutor", Status: execution.Failure, Request: true},
			execution.UserKey{Quarter: time.Date(2026, 2, 28, 11, 15, 0, 0, time.UTC).Unix(), User: "ada"},
			execution.Spend{Requests: 1, Tokens: row.Tokens, Cost: 42},
		},
		"before 1970": {
			func(r *execution.Row) { r.CreatedAt = time.Unix(-1, 0) },
			execution.CellKey{Minute: -60, Agent: "tutor", Model: "gpt-5", Status: execution.Failure, Request: true},
			execution.UserKey{Quarter: -900, User: "ada", Model: "gpt-5"},
			execution.Spend{Requests: 1, Tokens: row.Tokens, Cost: 42},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := row
			tt.change(&r)
			want, got := execution.NewDeltas(), execution.NewDeltas()
			want.Cells[tt.cell], want.Users[tt.user] = &execution.Measures{}, &tt.spend
			want.Cells[tt.cell].Add(&r.Execution, 1)
			got.Add(&r, 1)
			if diff := cmp.Diff(want, got, sameMeasures); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeltasCancel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kept, gone := rows().Draw(t, "kept"), rows().Draw(t, "gone")
		type change struct {
			row  execution.Row
			sign int64
		}
		var changes []change
		want := execution.NewDeltas()
		for i, r := range kept {
			want.Add(&kept[i], 1)
			changes = append(changes, change{r, 1})
		}
		for _, r := range gone {
			changes = append(changes, change{r, 1}, change{r, -1})
		}
		got := execution.NewDeltas()
		for _, c := range rapid.Permutation(changes).Draw(t, "order") {
			got.Add(&c.row, c.sign)
		}
		if diff := cmp.Diff(notNothing(want), notNothing(got), sameMeasures); diff != "" {
			t.Fatalf("(-kept +got):\n%s", diff)
		}
	})
}

// TestRepriceIsTheDifference checks that repricing a row changes the totals as subtracting it and adding it again does.
func TestRepriceIsTheDifference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rows().Draw(t, "rows")
		want, got := execution.NewDeltas(), execution.NewDeltas()
		for i := range all {
			var now *int64
			if rapid.Bool().Draw(t, "priced now") {
				now = new(rapid.Int64Range(0, 1<<50).Draw(t, "cost now"))
			}
			was := all[i].Cost
			want.Add(&all[i], -1)
			all[i].Cost = now
			want.Add(&all[i], 1)
			got.Reprice(&all[i], was)
		}
		if diff := cmp.Diff(notNothing(want), notNothing(got), sameMeasures); diff != "" {
			t.Fatalf("(-taken away and added +got):\n%s", diff)
		}
		for key, m := range got.Cells {
			if m.Count != 0 || m.Micros != 0 || m.Tokens != (execution.Tokens{}) || m.Durations.Count() != 0 {
				t.Fatalf("%+v: want nothing but money to change, got %+v", key, m)
			}
		}
	})
}
