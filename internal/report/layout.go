package report

import (
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
)

// table is a part of a report for all renderers but JSON: a row per thing, a column per metric.
type table struct {
	section string // in CSV a figure is identified by it, the row's name and the column's metric
	title   string
	things  string // heading of the column of labels
	columns []column
	rows    []row
	none    string // shown without rows
}

type column struct {
	metric string // empty: derived from other columns, not in CSV
	head   string
	words  bool // aligned left
}

type row struct {
	name  string // for programs
	label string // for people
	cells []cell // one per column
}

// cell is a figure, for people and for programs.
type cell struct {
	text  string
	raw   string // empty: no sample
	unit  string
	tone  tone
	words bool     // raw is from outside and is not a number
	value *float64 // the value of the text, if it is a number and has a sample
	bar   bool     // value is a share of a whole that should be drawn
}

// tone is the meaning of a cell for the verdict.
type tone int

const (
	plain tone = iota
	good
	bad
	unsure
)

func words(s string) cell   { return cell{text: s, raw: s, words: true} }
func derived(s string) cell { return cell{text: s} }

func yes(is bool) cell {
	if is {
		return cell{text: "yes", raw: "true", unit: "bool", tone: good}
	}
	return cell{text: "no", raw: "false", unit: "bool", tone: bad}
}

func met(is *bool) cell {
	if is == nil {
		return cell{text: "no data", unit: "bool", tone: unsure}
	}
	return yes(*is)
}

// metText returns whether an objective is met; one with a figure may still be undecided.
func metText(r objective.Result) cell {
	c := met(r.Met)
	if r.Met == nil && r.Actual != nil {
		c.text = "unknown"
	}
	return c
}

func moment(t *time.Time, absent string) cell {
	if t == nil {
		return cell{text: absent, unit: "time"}
	}
	return cell{text: timestamp(*t), raw: t.UTC().Format(time.RFC3339), unit: "time"}
}

// figure returns the cell of a number that may have no sample.
func figure(x *float64, unit string, write func(float64) string) cell {
	if x == nil {
		return cell{text: nothing, unit: unit}
	}
	return cell{text: write(*x), raw: strconv.FormatFloat(*x, 'f', -1, 64), unit: unit, value: x}
}

func count(n int64, unit string) cell {
	return figure(new(float64(n)), unit, func(float64) string { return number.Grouped(n) })
}

func octets(n int64) cell {
	return figure(new(float64(n)), "bytes", func(float64) string { return size(n) })
}

func ms(x *float64) cell    { return figure(x, string(objective.UnitMilliseconds), number.Milliseconds) }
func took(x *float64) cell  { return figure(x, string(objective.UnitMilliseconds), inTime) } // may be an hour
func share(x *float64) cell { return figure(x, string(objective.UnitRatio), number.Percent) }

// part returns the cell of a share that is drawn as part of a whole: utilization, success rate.
func part(x *float64) cell {
	c := share(x)
	c.bar = x != nil
	return c
}

func rps(x *float64) cell { return figure(x, "requests/s", number.PerSecond) }
func usd(x *float64) cell { return figure(x, string(objective.UnitUSD), dollars) }

// costs returns the cell of a cost, qualified if it is not all that was spent.
func costs(x *float64, unit string, unpriced int64, v Evidence) cell {
	c := figure(x, unit, func(amount float64) string { return number.Money(amount, unit) })
	qualifier := execution.CostQualifier(unpriced, v.UnknownUsage, v.EstimatedCostUSD != 0)
	switch {
	case qualifier == "":
	case x == nil:
		c.text, c.tone = "unknown", unsure
	default:
		c.text, c.tone = qualifier+c.text, unsure
	}
	return c
}

// entry returns a row of a table that has a figure a row and one column of values.
func entry(name, label string, c cell) row {
	return row{name: name, label: label, cells: []cell{c}}
}

func valueColumn(head string) column { return column{metric: "value", head: head} }

func latencyEntries(l Latency) []row {
	return []row{
		entry("latency_mean", "latency, mean", ms(l.Mean)),
		entry("latency_p50", "latency, p50", ms(l.P50)),
		entry("latency_p95", "latency, p95", ms(l.P95)),
		entry("latency_p99", "latency, p99", ms(l.P99)),
		entry("latency_max", "latency, max", ms(l.Max)),
	}
}

// changed returns the change between two cells of the same figure.
func changed(now, before cell) cell {
	return derived(change(now.value, before.value, now.unit == string(objective.UnitRatio)))
}

// beside adds a column with the rows of the previous window, and one with the change of each figure.
func (t *table) beside(before []row) {
	t.columns = append(t.columns, column{metric: "previous", head: "previous"}, column{head: "change"})
	for i := range t.rows {
		now, then := t.rows[i].cells[0], before[i].cells[0]
		t.rows[i].cells = append(t.rows[i].cells, then, changed(now, then))
	}
}

// trafficColumns returns the columns of trafficCells.
func trafficColumns() []column {
	return []column{
		{metric: "requests", head: "requests"},
		{metric: "rps", head: "rate"},
		{metric: "error_rate", head: "5xx"},
		{metric: "client_error_rate", head: "4xx"},
		{metric: "latency_mean", head: "mean"},
		{metric: "latency_p50", head: "p50"},
		{metric: "latency_p95", head: "p95"},
		{metric: "latency_p99", head: "p99"},
		{metric: "latency_max", head: "max"},
	}
}

func trafficCells(t Traffic) []cell {
	return []cell{
		count(t.Requests, "requests"), rps(t.RPS), share(t.ErrorRate), share(t.ClientErrorRate),
		ms(t.Latency.Mean), ms(t.Latency.P50), ms(t.Latency.P95), ms(t.Latency.P99), ms(t.Latency.Max),
	}
}

// tables returns the tables of a document, objectives first.
func tables(doc Document) []table {
	all := []table{objectivesTable(doc)}
	s := doc.Sections
	if s.Summary != nil {
		all = append(all, summaryTable(*s.Summary, doc.Previous))
	}
	if s.Endpoints != nil {
		all = append(all, endpointsTable(s.Endpoints))
	}
	if s.PendingDeployments != nil {
		all = append(all, pendingTable(*s.PendingDeployments))
	}
	if s.DatabasePool != nil {
		all = append(all, poolTable(*s.DatabasePool))
	}
	if s.Queries != nil {
		all = append(all, queriesTable(*s.Queries))
	}
	if s.Indexes != nil {
		all = append(all, indexTables(s.Indexes)...)
	}
	if s.Errors != nil {
		all = append(all, errorTables(*s.Errors)...)
	}
	if s.Executions != nil {
		all = append(all, executionTables(*s.Executions, doc.Previous)...)
	}
	if s.Costs != nil {
		all = append(all, costTables(*s.Costs, doc.Previous)...)
	}
	if s.Users != nil {
		all = append(all, userTables(*s.Users, doc)...)
	}
	if s.Logs != nil {
		all = append(all, logTables(*s.Logs)...)
	}
	return all
}
