package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
)

// objectivesSection is the name of a document's first table.
const objectivesSection = "objectives"

func objectivesTable(doc Document) table {
	t := table{
		section: objectivesSection, title: "Objectives", things: "objective", none: "None.",
		columns: []column{
			{metric: "met", head: "met", words: true},
			{metric: "target", head: "target"},
			{metric: "actual", head: "actual"},
		},
	}
	hasBudget := func(r objective.Result) bool { return r.ErrorBudgetRemaining != nil }
	budgets := slices.ContainsFunc(doc.Objectives, hasBudget)
	if budgets {
		t.columns = append(t.columns, column{metric: "error_budget_remaining", head: "budget left"})
	}
	previous := map[string]objective.Result{}
	if doc.Previous != nil {
		t.columns = append(t.columns, column{metric: "previous", head: "previous"}, column{head: "change"})
		for _, r := range doc.Previous.Objectives {
			previous[r.Name] = r
		}
	}
	t.columns = append(t.columns, column{head: "what", words: true})
	for _, r := range doc.Objectives {
		inUnit := func(x *float64) cell { return figure(x, string(r.Unit), r.Unit.Format) }
		target, actual := inUnit(&r.Target), inUnit(r.Actual)
		target.text = TargetText(r)
		if r.Actual != nil {
			actual.text = ActualText(r)
		}
		cells := []cell{metText(r), target, actual}
		if budgets {
			cells = append(cells, budgetLeft(r.ErrorBudgetRemaining))
		}
		if doc.Previous != nil {
			before := inUnit(previous[r.Name].Actual)
			cells = append(cells, before, changed(actual, before))
		}
		what := r.Description
		if r.Detail != "" {
			what += " (" + r.Detail + ")"
		}
		t.rows = append(t.rows, row{name: r.Name, label: r.Name, cells: append(cells, derived(what))})
	}
	return t
}

func budgetLeft(x *float64) cell {
	c := part(x)
	if x != nil && *x < 0 {
		c.tone = bad
	}
	return c
}

func summaryEntries(s Summary, statuses []string) []row {
	rows := []row{
		entry("requests", "requests", count(s.Requests, "requests")),
		entry("rps", "request rate", rps(s.RPS)),
		entry("error_rate", "error rate (5xx)", share(s.ErrorRate)),
		entry("client_error_rate", "client error rate (4xx)", share(s.ClientErrorRate)),
	}
	rows = append(rows, latencyEntries(s.Latency)...)
	rows = append(rows,
		entry("unauthenticated_requests", "unauthenticated", count(s.Unauthenticated.Requests, "requests")),
		entry("probe_requests", "health checks", count(s.Probes.Requests, "requests")),
		entry("bytes_in", "received", octets(s.BytesIn)),
		entry("bytes_out", "sent", octets(s.BytesOut)),
		entry("agents_online", "agents online", count(s.Agents.Online, "agents")),
		entry("agents_late", "agents late", count(s.Agents.Late, "agents")),
		entry("agents_offline", "agents offline", count(s.Agents.Offline, "agents")),
	)
	for _, status := range statuses {
		rows = append(rows, entry("deployments_"+status, "deployments "+status, count(s.Deployments[status], "deployments")))
	}
	return rows
}

func summaryTable(s Summary, previous *Previous) table {
	t := table{
		section: string(SectionSummary), title: "Summary", things: "figure",
		columns: []column{valueColumn("this window")},
	}
	statuses := slices.Collect(maps.Keys(s.Deployments))
	if previous != nil {
		statuses = slices.AppendSeq(statuses, maps.Keys(previous.Summary.Deployments))
	}
	slices.Sort(statuses)
	statuses = slices.Compact(statuses)
	t.rows = summaryEntries(s, statuses)
	if previous != nil {
		t.beside(summaryEntries(previous.Summary, statuses))
	}
	return t
}

func endpointsTable(endpoints []Endpoint) table {
	t := table{
		section: string(SectionEndpoints), title: "Endpoints", things: "endpoint", none: "No requests.",
		columns: trafficColumns(),
	}
	for _, e := range endpoints {
		name := e.Method + " " + e.Route
		t.rows = append(t.rows, row{name: name, label: name, cells: trafficCells(e.Traffic)})
	}
	return t
}

func pendingTable(p Pending) table {
	pollRate := func(x *float64) cell { return figure(x, string(objective.UnitPollRate), number.PerSecond) }
	return table{
		section: string(SectionPendingDeployments), title: "Pending deployments", things: "figure",
		columns: []column{valueColumn("value")},
		rows: append([]row{
			entry("requests", "polls", count(p.Requests, "requests")),
			entry("rps", "poll rate", rps(p.RPS)),
			entry("agents", "agents polling, at the end", count(p.Agents, "agents")),
			entry("mean_agents", "agents polling, mean", figure(&p.MeanAgents, "agents", number.Significant)),
			entry("rps_per_agent", "poll rate per agent", pollRate(p.RPSPerAgent)),
			entry("expected_rps_per_agent", "poll rate per agent, as requested", pollRate(p.ExpectedRPSPerAgent)),
			entry("empty_ratio", "polls without work", share(p.EmptyRatio)),
			entry("polls_empty", "polls with an empty response", count(p.Polls.Empty, "requests")),
			entry("polls_not_modified", "polls with a not-modified response", count(p.Polls.NotModified, "requests")),
			entry("polls_delivered", "polls with work", count(p.Polls.Delivered, "requests")),
			entry("polls_failed", "polls failed", count(p.Polls.Failed, "requests")),
			entry("error_rate", "error rate (5xx)", share(p.ErrorRate)),
			entry("client_error_rate", "client error rate (4xx)", share(p.ClientErrorRate)),
		}, latencyEntries(p.Latency)...),
	}
}

func poolTable(p DatabasePool) table {
	t := table{
		section: string(SectionDatabasePool), title: "Database pool", things: "replica", none: "No replica measured its pool.",
		columns: []column{
			{metric: "max", head: "max"},
			{metric: "in_use_mean", head: "in use, mean"},
			{metric: "in_use_peak", head: "in use, peak"},
			{metric: "utilization", head: "utilization"},
			{metric: "peak_utilization", head: "at peak"},
			{metric: "acquires", head: "acquires"},
			{metric: "empty_acquires", head: "that waited"},
			{metric: "wait_seconds", head: "waited"},
		},
	}
	connections := func(x float64) cell { return figure(&x, "connections", number.Significant) }
	for _, r := range p.Replicas {
		t.rows = append(t.rows, row{name: r.Replica, label: r.Replica, cells: []cell{
			count(int64(r.Max), "connections"), connections(r.InUseMean), connections(r.InUsePeak),
			part(r.Utilization), part(r.PeakUtilization),
			count(r.Acquires, "acquires"), count(r.EmptyAcquires, "acquires"), figure(&r.WaitSeconds, "s", inSeconds),
		}})
	}
	return t
}

func queryColumns(more ...column) []column {
	return append([]column{{metric: "executed", head: "executed"}, {metric: "errors", head: "errors"}}, append(more,
		column{metric: "latency_mean", head: "mean"}, column{metric: "latency_p50", head: "p50"},
		column{metric: "latency_p95", head: "p95"}, column{metric: "latency_p99", head: "p99"},
		column{metric: "latency_max", head: "max"})...)
}

func queryRow(q Query, more ...cell) row {
	cells := append([]cell{count(q.Executed, "queries"), count(q.Errors, "queries")}, append(more,
		ms(q.Latency.Mean), ms(q.Latency.P50), ms(q.Latency.P95), ms(q.Latency.P99), ms(q.Latency.Max))...)
	return row{name: q.Name, label: q.Name, cells: cells}
}

// allQueries is the name of the row with the sums.
const allQueries = "all"

func queriesTable(q Queries) table {
	t := table{
		section: string(SectionQueries), title: "Queries, slowest first", things: "query",
		columns: queryColumns(),
		rows:    []row{queryRow(Query{allQueries, q.Executed, q.Errors, q.Latency})},
	}
	for _, query := range q.Slowest {
		t.rows = append(t.rows, queryRow(query))
	}
	return t
}

func indexTables(indexes []Index) []table {
	used := table{
		section: string(SectionIndexes), title: "Indexes", things: "index", none: "None were read.",
		columns: []column{
			{metric: "exists", head: "exists", words: true},
			{metric: "scans", head: "scans"},
			{metric: "stats_since", head: "since", words: true},
			{metric: "last_used", head: "last used", words: true},
			{metric: "columns", head: "on", words: true},
		},
	}
	plans := table{
		section: string(SectionIndexes), title: "Plans", things: "index", none: "None were requested.",
		columns: []column{
			{metric: "plan_uses_index", head: "used", words: true},
			{metric: "shape", head: "query", words: true},
			{metric: "plan", head: "plan", words: true},
		},
	}
	for _, i := range indexes {
		on := words(i.Columns)
		on.text = fmt.Sprintf("%s (%s)", i.Table, i.Columns)
		used.rows = append(used.rows, row{name: i.Name, label: i.Name, cells: []cell{
			yes(i.Exists), count(i.Scans, "scans"), moment(i.StatsSince, "its creation"), moment(i.LastUsed, nothing), on,
		}})
		if i.Shape != "" {
			chosen := yes(i.PlanUsesIndex)
			if !i.PlanUsesIndex {
				chosen.tone = unsure // small tables are read faster without
			}
			plans.rows = append(plans.rows, row{name: i.Name, label: i.Name, cells: []cell{
				chosen, words(i.Shape), words(i.Plan),
			}})
		}
	}
	return []table{used, plans}
}

func statusTable(section, title string, byStatus map[int]int64) table {
	t := table{
		section: section, title: title, things: "status", none: "None.",
		columns: []column{{metric: "count", head: "responses"}},
	}
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		name := strconv.Itoa(status)
		t.rows = append(t.rows, entry(name, name, count(byStatus[status], "requests")))
	}
	return t
}

func errorTables(e Errors) []table {
	byRoute := table{
		section: string(SectionErrors), title: "Errors by route", things: "status and endpoint", none: "None.",
		columns: []column{{metric: "count", head: "responses"}},
	}
	for _, r := range e.ByRoute {
		name := fmt.Sprintf("%d %s %s", r.Status, r.Method, r.Route)
		byRoute.rows = append(byRoute.rows, entry(name, name, count(r.Count, "requests")))
	}
	return []table{statusTable(string(SectionErrors), "Errors by status", e.ByStatus), byRoute}
}
