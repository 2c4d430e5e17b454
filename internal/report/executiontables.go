package report

import (
	"cmp"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
)

func executionTables(e Executions, previous *Previous) []table {
	totals := table{
		section: string(SectionExecutions), title: "Executions", things: "figure",
		columns: []column{valueColumn("this window")},
		rows:    executionEntries(e.ExecutionFigures),
	}
	if previous != nil && previous.Executions != nil {
		totals.beside(executionEntries(*previous.Executions))
	}
	return []table{
		totals,
		executionsTable("agents", "Executions by agent, busiest first", "agent", "requests", e.Agents),
		executionsTable("models", "Calls by model, busiest first", "model", "calls", e.Models),
	}
}

func executionEntries(f ExecutionFigures) []row {
	return []row{
		entry("requests", "requests", count(f.Count, "requests")),
		entry("successful", "successful", count(f.Successful, "requests")),
		entry("failed", "failed", count(f.Failed, "requests")),
		entry("timeouts", "of these, timed out", count(f.Timeouts, "requests")),
		entry("success_rate", "success rate", share(f.SuccessRate)),
		entry("duration_mean", "duration, mean", took(f.Duration.Mean)),
		entry("duration_p50", "duration, p50", took(f.Duration.P50)),
		entry("duration_p95", "duration, p95", took(f.Duration.P95)),
		entry("duration_p99", "duration, p99", took(f.Duration.P99)),
	}
}

// executionsTable returns the table of a list. In CSV each list is a section, since an agent and a model may share a
// name.
func executionsTable(list, title, things, counted string, all []NamedExecutions) table {
	t := table{
		section: string(SectionExecutions) + "." + list, title: title, things: things, none: "No " + counted + ".",
		columns: []column{
			{metric: counted, head: counted},
			{metric: "success_rate", head: "success"},
			{metric: "failed", head: "failed"},
			{metric: "timeouts", head: "timed out"},
			{metric: "duration_mean", head: "mean"},
			{metric: "duration_p50", head: "p50"},
			{metric: "duration_p95", head: "p95"},
			{metric: "duration_p99", head: "p99"},
			{metric: "tokens", head: "tokens"},
			{metric: "unknown_usage", head: "usage unknown"},
			{metric: "cost", head: "cost"},
		},
	}
	var shown []Converted
	for _, one := range all {
		t.rows = append(t.rows, row{name: one.Name, label: one.Name, cells: []cell{
			count(one.Count, counted), part(one.SuccessRate), count(one.Failed, counted), count(one.Timeouts, counted),
			took(one.Duration.Mean), took(one.Duration.P50), took(one.Duration.P95), took(one.Duration.P99),
			count(one.Tokens.Used, "tokens"), alarming(one.UnknownUsage, "executions"),
			costs(one.CostUSD, string(objective.UnitUSD), one.UnpricedTokens, one.Evidence),
		}})
		shown = append(shown, one.Converted)
	}
	t.converted(shown)
	return t
}

// converted adds a column of costs in another currency, if there are any, as the last one.
func (t *table) converted(all []Converted) {
	code := ""
	for _, one := range all {
		code = cmp.Or(code, one.Currency)
	}
	if code == "" {
		return
	}
	t.columns = append(t.columns, column{metric: "cost_converted", head: "in " + code})
	for i, one := range all {
		t.rows[i].cells = append(t.rows[i].cells, figure(one.Cost, code, func(x float64) string { return number.Money(x, code) }))
	}
}

func costTables(c Costs, previous *Previous) []table {
	totals := table{
		section: string(SectionCosts), title: "Costs", things: "figure",
		columns: []column{valueColumn("this window")},
	}
	code := c.Currency
	if previous != nil && previous.Costs != nil {
		code = cmp.Or(code, previous.Costs.Currency)
	}
	totals.rows = costEntries(c.Spend, code)
	if previous != nil && previous.Costs != nil {
		totals.beside(costEntries(*previous.Costs, code))
	}
	days := spendTable(SectionCosts, "days", "Costs by day", "day", "requests", c.Days)
	days.things = "day, in UTC"
	return []table{
		totals,
		days,
		spendTable(SectionCosts, "models", "Costs by model, highest first", "model", "calls", c.Models),
		spendTable(SectionCosts, "agents", "Costs by agent, highest first", "agent", "requests", c.Agents),
	}
}

// costEntries returns the rows of a spend, with the cost in another currency unless code is empty.
func costEntries(s Spend, code string) []row {
	rows := []row{entry("cost", "cost", costs(s.CostUSD, string(objective.UnitUSD), s.UnpricedTokens, s.Evidence))}
	if code != "" {
		label := "cost in " + code
		if s.RateDate != "" {
			label += ", by the rate of " + s.RateDate
		}
		converted := costs(s.Cost, code, s.UnpricedTokens, s.Evidence)
		if s.Cost == nil && s.CostUSD != nil {
			converted.text = "no rate"
		}
		rows = append(rows, entry("cost_converted", label, converted))
	}
	return append(rows, []row{
		entry("tokens", "tokens", count(s.Tokens.Used, "tokens")),
		entry("input_tokens", "input tokens", count(s.Tokens.Input, "tokens")),
		entry("cache_read_tokens", "of these, read from a cache", count(s.Tokens.CacheRead, "tokens")),
		entry("cache_write_tokens", "of these, written to a cache", count(s.Tokens.CacheWrite, "tokens")),
		entry("output_tokens", "output tokens", count(s.Tokens.Output, "tokens")),
		entry("reasoning_tokens", "of these, for reasoning", count(s.Tokens.Reasoning, "tokens")),
		entry("unpriced_tokens", "tokens without a price", alarming(s.UnpricedTokens, "tokens")),
		entry("unknown_usage", "executions of unknown usage", alarming(s.UnknownUsage, "executions")),
		entry("estimated_cost", "of the cost, estimated", usd(&s.EstimatedCostUSD)),
		entry("provider_cost", "charged by providers", usd(s.ProviderCostUSD)),
		entry("provider_unpriced", "of this, without a price here", usd(s.ProviderUnpricedUSD)),
		entry("provider_difference", "of the rest, beyond the cost here", usd(s.ProviderDifferenceUSD)),
	}...)
}

func spendTable(section Section, list, title, things, counted string, all []NamedSpend) table {
	t := table{
		section: string(section) + "." + list, title: title, things: things, none: "None.",
		columns: []column{
			{metric: counted, head: counted},
			{metric: "tokens", head: "tokens"},
			{metric: "unpriced_tokens", head: "without a price"},
			{metric: "unknown_usage", head: "usage unknown"},
			{metric: "cost", head: "cost"},
			{metric: "provider_cost", head: "charged"},
			{metric: "provider_difference", head: "difference"},
		},
	}
	var shown []Converted
	for _, one := range all {
		label := one.Name
		if label == "" {
			label = "no model"
		}
		t.rows = append(t.rows, row{name: one.Name, label: label, cells: []cell{
			count(one.Requests, counted), count(one.Tokens.Used, "tokens"), alarming(one.UnpricedTokens, "tokens"),
			alarming(one.UnknownUsage, "executions"), costs(one.CostUSD, string(objective.UnitUSD), one.UnpricedTokens, one.Evidence),
			usd(one.ProviderCostUSD), usd(one.ProviderDifferenceUSD),
		}})
		shown = append(shown, one.Converted)
	}
	t.converted(shown)
	return t
}

func userTables(u Users, doc Document) []table {
	totals := table{
		section: string(SectionUsers), title: "Users", things: "figure",
		columns: []column{valueColumn("this window")},
		rows:    []row{entry("active", "active users", count(u.Active, "users"))},
	}
	var before []row
	if doc.Previous != nil && doc.Previous.ActiveUsers != nil {
		before = []row{entry("active", "active users", count(*doc.Previous.ActiveUsers, "users"))}
	}
	if !u.Window.equal(doc.Window.Window) { // users are counted by whole quarters of an hour
		totals.rows = append(totals.rows, entry("from", "counted from", moment(&u.Window.From, "")), entry("to", "counted to", moment(&u.Window.To, "")))
		if before != nil {
			before = append(before, entry("from", "counted from", moment(nil, nothing)), entry("to", "counted to", moment(nil, nothing)))
		}
	}
	if before != nil {
		totals.beside(before)
	}
	return []table{
		totals,
		spendTable(SectionUsers, "dearest", "Users by cost, highest first", "user", "requests", u.Dearest),
	}
}
