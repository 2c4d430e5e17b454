package report_test

import (
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

func TestTextFormat(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		result                 objective.Result
		target, actual, budget string
	}{
		"latency": {
			objective.Result{Comparison: objective.Below, Target: 200, Actual: new(3.1), Unit: objective.UnitMilliseconds, ErrorBudgetRemaining: new(0.62)},
			"< 200 ms", "3.1 ms", "62 %",
		},
		"success": {
			objective.Result{Comparison: objective.Above, Target: 0.95, Actual: new(0.992), Unit: objective.UnitRatio, ErrorBudgetRemaining: new(0.84)},
			"> 95 %", "99.2 %", "84 %",
		},
		"errors": {
			objective.Result{Comparison: objective.Below, Target: 0.01, Actual: new(0.035), Unit: objective.UnitRatio, ErrorBudgetRemaining: new(-2.5)},
			"< 1 %", "3.5 %", "-250 %",
		},
		"polls": {
			objective.Result{Comparison: objective.Around, Target: 0.1, Tolerance: new(0.5), Actual: new(0.0), Unit: objective.UnitPollRate},
			"0.1/s ± 50 %", "0/s", "",
		},
		"cost": {
			objective.Result{Comparison: objective.Below, Target: 50, Actual: new(12.3), Unit: objective.UnitUSD},
			"< 50.00 USD", "12.30 USD", "",
		},
		"without data":  {objective.Result{Comparison: objective.Below, Target: 50, Unit: objective.UnitUSD}, "< 50.00 USD", "", ""},
		"a lower bound": {objective.Result{Comparison: objective.Below, Target: 50, Unit: objective.UnitUSD, Actual: new(12.3), AtLeast: true}, "< 50.00 USD", "at least 12.30 USD", ""},
		"hostile":       {objective.Result{Comparison: "\x1b[2J", Target: 1, Unit: "\x1b"}, "\ufffd[2J 1", "", ""},
	} {
		got := []string{report.TargetText(tt.result), report.ActualText(tt.result), report.BudgetText(tt.result)}
		if got[0] != tt.target || got[1] != tt.actual || got[2] != tt.budget {
			t.Errorf("%s: got %q, want %q, %q, %q", name, got, tt.target, tt.actual, tt.budget)
		}
	}
}

// The texts of these functions are those of the report itself.
func TestTextMatchesReport(t *testing.T) {
	t.Parallel()
	req := request()
	req.Objectives = append(req.Objectives, resolved(objective.Objective{Name: "budget", Cost: &objective.Cost{MaxUSD: "50"}})...)
	doc := computed(t, req, goodHour(lastHour), nil)
	tables := cellsOfMarkdown(rendered(t, doc, report.Markdown, report.RenderOptions{}))
	for i, r := range doc.Objectives {
		left := report.BudgetText(r)
		if left == "" {
			left = "–"
		}
		want := []string{r.Name, "yes", report.TargetText(r), report.ActualText(r), left}
		if got := tables[0][i+1][:5]; strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHeadline(t *testing.T) {
	t.Parallel()
	yes, no := objective.Result{Met: new(true)}, objective.Result{Met: new(false)}
	none, undecided := objective.Result{}, objective.Result{Actual: new(1.0)}
	before := func(v report.Verdict) *report.Previous { return &report.Previous{Verdict: v} }
	for _, tt := range []struct {
		doc  report.Document
		want string
	}{
		{report.Document{Verdict: report.Pass, Objectives: []objective.Result{yes, yes}}, "Pass: 2 of 2 objectives met"},
		{report.Document{Verdict: report.Pass, Objectives: []objective.Result{yes}}, "Pass: 1 of 1 objective met"},
		{report.Document{Verdict: report.Pass, Objectives: []objective.Result{yes, none}}, "Pass: 1 of 2 objectives met, 1 without data"},
		{report.Document{Verdict: report.Fail, Objectives: []objective.Result{yes, no, none}}, "Fail: 1 of 3 objectives missed, 1 without data"},
		{report.Document{Verdict: report.Pass, Objectives: []objective.Result{yes, undecided}}, "Pass: 1 of 2 objectives met, 1 undecided"},
		{report.Document{Verdict: report.NoData, Objectives: []objective.Result{none}}, "NoData"},
		{
			report.Document{Verdict: report.Pass, Objectives: []objective.Result{yes}, Previous: before(report.Fail)},
			"Pass: 1 of 1 objective met (previous window: Fail)",
		},
		{report.Document{Verdict: "\x1b[31m", Previous: before("\u202e")}, "\ufffd[31m (previous window: \ufffd)"},
	} {
		if got := report.Headline(tt.doc); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
