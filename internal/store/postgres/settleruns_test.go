package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestRunCountsUsageMissingFromItsCalls commits a run that reports usage, and a call in it, in
// every order. The usage counts once: for the call if one is known, otherwise for the run.
func TestRunCountsUsageMissingFromItsCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		order     string // one commit each, of the run, the call and the span between; S settles at once, L much later
		rows      int
		runCounts bool
	}{
		"all at once":                      {"rsc", 3, false},
		"the call first":                   {"c rs", 3, false},
		"the call first, settled before":   {"c S rs", 3, false},
		"the call last":                    {"rs c", 3, false},
		"the call last, settled before":    {"rs S c", 3, false},
		"the call last, much later":        {"rs L c", 3, false},
		"what lies between last":           {"r c s", 3, false},
		"what lies between last, settled":  {"c S r S s", 3, false},
		"what lies between much later":     {"c r L s", 3, false},
		"no call":                          {"rs", 2, true},
		"no call, and the run twice":       {"rs r", 2, true},
		"the call twice, and the run last": {"c c rs r", 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s := newExecutions(t, db)
			s.PriceBy(byTokens)
			tr, o := newTrace(), &settling{db: db}
			run, call, tool := tr.call("1", ""), tr.call("3", "2"), tr.call("2", "1")
			run.execution.Kind, run.execution.AgentName, run.span.Agent = execution.Agent, "tutor", "tutor"
			run.execution.Usage, call.execution.Usage = execution.UsageReported, execution.UsageReported
			tool.execution.Kind, tool.execution.Request = execution.Tool, false
			tool.execution.Model, tool.execution.Tokens, tool.execution.Cost = "", execution.Tokens{}, nil
			run.span.Role, call.span.Role, tool.span.Role = execution.RoleRun, execution.RoleCall, execution.RoleTool
			pieces := map[rune]piece{'r': run, 'c': call, 's': tool}
			for kind, p := range pieces {
				p.span.StartedAt, p.span.EndedAt = p.execution.CreatedAt, p.execution.CreatedAt.Add(p.execution.Duration)
				pieces[kind] = p
			}
			later := func() {
				db.execAsAdmin(t, `UPDATE unsettled_executions SET check_at = now(), since = since - interval '1 hour'`)
				o.settle(t, s)
			}
			for _, step := range strings.Fields(tt.order) {
				switch step {
				case "S":
					o.settle(t, s)
					continue
				case "L":
					later()
					checkRollups(t, db)
					continue
				}
				var batch []piece
				for _, one := range step {
					p := pieces[one]
					copied := *p.execution
					batch = append(batch, piece{p.span, &copied})
				}
				o.commit(t, s, batch...)
				checkRollups(t, db)
			}
			later()
			o.settle(t, s)
			checkRollups(t, db)
			type row struct {
				Kind, Model, Usage string
				Used               int64
				Cost               *int64
			}
			got := map[string]row{}
			for _, r := range naive(t, db, pgx.RowToStructByPos[row], `SELECT kind, model_used, usage, tokens_used, cost_nano_usd FROM agent_executions`) {
				got[r.Kind] = r
			}
			if len(got) != tt.rows {
				t.Errorf("want %d rows, got %v", tt.rows, got)
			}
			if r := got["agent"]; (r.Used > 0) != tt.runCounts || (r.Cost != nil) != tt.runCounts || (r.Model != "") != tt.runCounts || (r.Usage != "") != tt.runCounts {
				t.Errorf("the run is stored as %+v", r)
			}
			if r := got["inference"]; tt.rows == 3 && (r.Used != 150 || r.Cost == nil) {
				t.Errorf("the call is stored as %+v", r)
			}
			if n := askAsAdmin[int](t, db, `SELECT count(*) FROM unsettled_executions`); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	}
}
