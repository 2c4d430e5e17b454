package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/currency"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

// euros has a rate from 19 August and another from 21 August.
func euros(t testing.TB) report.Currency {
	t.Helper()
	rates, err := currency.Parse([]byte("date,currency,units_per_usd\n2026-08-19,EUR,0.5\n2026-08-21,EUR,0.9\n"), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	return report.Currency{Code: "EUR", Rates: rates}
}

// someDays is 18 to 21 August, with models whose costs are known more or less well.
func someDays() report.Facts {
	w := report.Window{From: time.Date(2026, 8, 18, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 8, 22, 0, 0, 0, 0, time.UTC)}
	model := func(name string, n int, each execution.Execution) execution.Cell {
		if each.Usage == execution.UsageNone {
			each.Usage = execution.UsageReported
		}
		return executed("writer of "+name, name, execution.Success, true, n, 1, each)
	}
	charged := func(cost int64, e execution.Execution) execution.Execution {
		e.ProviderCost = &cost
		return e
	}
	f := report.Facts{Window: w, CoveredSeconds: w.To.Sub(w.From).Seconds(), Executions: []execution.Cell{
		model("exact", 10, using(100, 10, 2_000_000_000)),
		model("free", 10, using(100, 10, 0)),
		model("unheard-of", 10, using(100, 10, -1)),
		model("silent", 10, execution.Execution{Usage: execution.UsageUnknown}),
		model("left", 10, using(100, 10, 1_000_000_000)),
		model("left", 2, execution.Execution{Usage: execution.UsageUnknown, Tokens: execution.Tokens{Input: 7, Used: 7}, Cost: new(int64(10_000_000))}),
		model("guessed", 5, execution.Execution{Usage: execution.UsageEstimated, Tokens: execution.Tokens{Input: 7, Used: 7}, Cost: new(int64(1_000_000))}),
		model("charged", 2, charged(1_500_000_000, using(100, 10, 1_000_000_000))),
		model("charged for", 1, charged(250_000_000, using(100, 10, -1))),
	}}
	for i, day := range []string{"2026-08-18", "2026-08-19", "2026-08-20", "2026-08-21"} {
		f.Days = append(f.Days, spending(day, 10, 100, int64(i+1)*1_000_000_000, 0))
	}
	f.Users.Window = w
	f.Users.Dearest = []execution.SpendOf{spending("ada@example.com", 10, 100, 10_000_000_000, 10), spending("bob", 1, 10, 0, 10)}
	return f
}

func moneyReport(t testing.TB) report.Request {
	return report.Request{
		Name: "money", Window: someDays().Window, CompareWith: report.CompareNone, Currency: euros(t),
		Sections: []report.Section{report.SectionExecutions, report.SectionCosts, report.SectionUsers},
		Objectives: objective.Resolve([]objective.Objective{
			{Name: "budget", Cost: &objective.Cost{MaxUSD: "50", Period: objective.PeriodWindow}},
			{Name: "small-budget", Cost: &objective.Cost{MaxUSD: "30", Period: objective.PeriodWindow}},
		}).All,
	}
}

// A day is shown at its own rate, everything else at that of the window's last day; before the first rate there is
// none.
func TestCostsInAnotherCurrency(t *testing.T) {
	t.Parallel()
	doc := computed(t, moneyReport(t), someDays(), nil)
	costs := doc.Sections.Costs
	of := func(all []report.NamedSpend, name string) report.Converted {
		for _, one := range all {
			if one.Name == name {
				return one.Converted
			}
		}
		t.Fatalf("there is no %s", name)
		return report.Converted{}
	}
	for name, tt := range map[string]struct {
		got  report.Converted
		want float64 // 0: no cost
		rate string
	}{
		"in all":                  {costs.Converted, 32.025 * 0.9, "2026-08-21"},
		"a day before all rates":  {of(costs.Days, "2026-08-18"), 0, ""},
		"the first day of a rate": {of(costs.Days, "2026-08-19"), 1, "2026-08-19"},
		"a day without its own":   {of(costs.Days, "2026-08-20"), 1.5, "2026-08-19"},
		"the next rate":           {of(costs.Days, "2026-08-21"), 3.6, "2026-08-21"},
		"a model":                 {of(costs.Models, "exact"), 18, "2026-08-21"},
		"a model that is free":    {of(costs.Models, "free"), 0, "2026-08-21"},
		"one that is not known":   {of(costs.Models, "unheard-of"), 0, ""},
		"a user":                  {of(doc.Sections.Users.Dearest, "ada@example.com"), 9, "2026-08-21"},
		"executions":              {doc.Sections.Executions.Converted, 32.025 * 0.9, "2026-08-21"},
	} {
		if got := tt.got; got.RateDate != tt.rate || (got.Cost != nil) != (tt.rate != "") || got.Cost != nil && (*got.Cost < tt.want-1e-9 || *got.Cost > tt.want+1e-9 || got.Currency != "EUR") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	plain := moneyReport(t)
	plain.Currency = report.Currency{}
	for _, format := range report.Formats() {
		if page := rendered(t, computed(t, plain, someDays(), nil), format, report.RenderOptions{}); strings.Contains(page, "EUR") || strings.Contains(page, "rate_date") {
			t.Errorf("%s has another currency, though none is configured", format)
		}
	}
}

// Unknown costs are never shown as zero.
func TestUnknownCostsAreNotShownAsZero(t *testing.T) {
	t.Parallel()
	page := rendered(t, computed(t, moneyReport(t), someDays(), nil), report.Text, report.RenderOptions{})
	for model, want := range map[string]string{
		"exact": "20.00 USD", "free": "0 USD", "unheard-of": "unknown", "silent": "unknown", "left": "at least 10.02 USD",
		"guessed": "about 0.005 USD", "charged": "2.00 USD",
	} {
		found := false
		for line := range strings.Lines(page) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, model+"  "); ok {
				found = true
				if !strings.Contains(rest, "  "+want) {
					t.Errorf("want %s for %s, got %q", want, model, line)
				}
			}
		}
		if !found {
			t.Errorf("there is no %s", model)
		}
	}
}
