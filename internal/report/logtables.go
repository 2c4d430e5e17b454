package report

import (
	"maps"
	"slices"
)

// logsSection is the name of the section of Logs.
const logsSection = "logs"

func logTables(l Logs) []table {
	return []table{
		logFilesTable(l),
		statusTable(logsSection, "Logged requests by status", l.ByStatus),
		logRoutesTable(l),
		logQueriesTable(l.Queries),
		sqlStatesTable(l.Queries),
	}
}

func logFilesTable(l Logs) table {
	t := table{
		section: logsSection, title: "Log files", things: "figure",
		columns: []column{valueColumn("value")},
		rows: []row{
			entry("files", "files", count(l.Files, "files")),
			entry("files_cut_short", "files not readable to their end", alarming(l.FilesCutShort, "files")),
			entry("lines", "lines", count(l.Lines, "lines")),
			entry("unreadable_lines", "lines not readable", alarming(l.UnreadableLines, "lines")),
			entry("outside_window", "lines outside the window", count(l.OutsideWindow, "lines")),
			entry("other_lines", "lines neither request nor query", count(l.OtherLines, "lines")),
			entry("first", "oldest line", moment(l.First, nothing)),
			entry("last", "newest line", moment(l.Last, nothing)),
		},
	}
	for _, level := range slices.Sorted(maps.Keys(l.Levels)) {
		t.rows = append(t.rows, entry("level_"+level, "lines at level "+level, alarming(l.Levels[level], "lines")))
	}
	return t
}

// alarming returns the cell of a count that should be 0.
func alarming(n int64, unit string) cell {
	c := count(n, unit)
	if n > 0 {
		c.tone = unsure
	}
	return c
}

func logRoutesTable(l Logs) table {
	rate := slices.IndexFunc(trafficColumns(), func(c column) bool { return c.metric == "rps" })
	t := table{
		section: logsSection, title: "Logged requests by route", things: "endpoint", none: "No requests.",
		columns: slices.Delete(trafficColumns(), rate, rate+1),
	}
	for _, e := range l.Routes {
		name := e.Route
		if e.Method != "" {
			name = e.Method + " " + e.Route
		}
		t.rows = append(t.rows, row{name: name, label: name, cells: slices.Delete(trafficCells(e.Traffic), rate, rate+1)})
	}
	return t
}

func logQueriesTable(q LogQueries) table {
	slow := func(n int64) cell { return alarming(n, "queries") }
	t := table{
		section: logsSection, title: "Logged queries, slowest first", things: "query",
		columns: queryColumns(column{metric: "slow", head: "slow"}),
		rows:    []row{queryRow(Query{allQueries, q.Executed, q.Errors, q.Latency}, slow(q.Slow))},
	}
	for _, query := range q.ByName {
		t.rows = append(t.rows, queryRow(query.Query, slow(query.Slow)))
	}
	return t
}

func sqlStatesTable(q LogQueries) table {
	t := table{
		section: logsSection, title: "Logged query errors by SQLSTATE", things: "SQLSTATE", none: "None.",
		columns: []column{{metric: "count", head: "queries"}},
	}
	for _, state := range slices.Sorted(maps.Keys(q.BySQLState)) {
		t.rows = append(t.rows, entry(state, state, count(q.BySQLState[state], "queries")))
	}
	return t
}
