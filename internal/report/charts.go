package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/chart"
)

// pageChart is a chart of a page. Its texts are printable; SVG is markup whose texts are escaped.
type pageChart struct {
	Title string
	SVG   fixed
	Keys  []chartKey
}

// chartKey tells what a color of a chart means.
type chartKey struct{ Class, Label, Figure string }

// chartsOf returns the charts of a document that have something to draw. Those of traffic need the document's course,
// which reports of earlier releases do not have.
func chartsOf(doc Document) []pageChart {
	var all []pageChart
	add := func(title, svg string, keys ...chartKey) {
		if svg != "" {
			all = append(all, pageChart{title, fixed(svg), keys})
		}
	}
	if len(doc.Course) > 0 {
		traffic, keys := trafficChart(doc)
		add(traffic.Title, traffic.SVG(), keys...)
		latency, keys := latencyChart(doc)
		add(latency.Title, latency.SVG(), keys...)
		polls, keys := pollsChart(doc)
		add(polls.Title, polls.SVG(), keys...)
	}
	if c := doc.Sections.Costs; c != nil {
		days := daysChart(*c)
		add(days.Title, days.SVG())
		tokens := tokensChart(*c)
		add(tokens.Title, tokens.SVG(), chartKey{Class: "c1", Label: "input"}, chartKey{Class: "c2", Label: "output"}, chartKey{Class: "c8", Label: "other"})
	}
	if e := doc.Sections.Executions; e != nil {
		agents := successChart(*e)
		add(agents.Title, agents.SVG())
	}
	return all
}

// values returns a figure of each point of the course; NaN is none.
func values(course []CoursePoint, of func(CoursePoint) *float64) []float64 {
	all := make([]float64, len(course))
	for i, p := range course {
		all[i] = math.NaN()
		if v := of(p); v != nil {
			all[i] = *v
		}
	}
	return all
}

// pointLabels returns the points' times: the hour in short windows, otherwise the day.
func pointLabels(doc Document) []string {
	form := "15:04"
	switch hours := doc.Window.To.Sub(doc.Window.From).Hours(); {
	case hours > 72:
		form = "02 Jan"
	case hours > 25: // a window of a day is widened to whole steps
		form = "02 Jan 15:04"
	}
	labels := make([]string, len(doc.Course))
	for i, p := range doc.Course {
		labels[i] = p.From.UTC().Format(form)
	}
	return labels
}

func trafficChart(doc Document) (chart.Chart, []chartKey) {
	var all, errors, clientErrors int64
	covered := func(p CoursePoint, n int64) *float64 {
		if p.CoveredSeconds <= 0 && p.Requests == 0 {
			return nil
		}
		return new(float64(n))
	}
	for _, p := range doc.Course {
		all, errors, clientErrors = all+p.Requests, errors+p.Errors, clientErrors+p.ClientErrors
	}
	c := chart.Chart{
		ID: "chart-traffic", Title: "Requests and errors", Bars: true, Points: pointLabels(doc), Format: briefly,
		About: fmt.Sprintf("%s, of which %d with a status 5xx and %d with a status 4xx.", number.Counted(all, "request"), errors, clientErrors),
		Lines: []chart.Line{
			{Label: "5xx", Class: "bad", Values: values(doc.Course, func(p CoursePoint) *float64 { return covered(p, p.Errors) })},
			{Label: "4xx", Class: "warn", Values: values(doc.Course, func(p CoursePoint) *float64 { return covered(p, p.ClientErrors) })},
			{Label: "other", Class: "c1", Values: values(doc.Course, func(p CoursePoint) *float64 { return covered(p, p.Requests-p.Errors-p.ClientErrors) })},
		},
	}
	return c, []chartKey{
		{"c1", "successful", number.Grouped(all - errors - clientErrors)},
		{"warn", "4xx", number.Grouped(clientErrors)},
		{"bad", "5xx", number.Grouped(errors)},
	}
}

func latencyChart(doc Document) (chart.Chart, []chartKey) {
	c := chart.Chart{
		ID: "chart-latency", Title: "Latency of polls", Points: pointLabels(doc), Format: number.Milliseconds,
		About: "The percentiles of polls of pending deployments over the window, with the thresholds of the objectives as dashed lines.",
		Lines: []chart.Line{
			{Label: "p50", Class: "c1", Values: values(doc.Course, func(p CoursePoint) *float64 { return p.P50 })},
			{Label: "p95", Class: "c2", Values: values(doc.Course, func(p CoursePoint) *float64 { return p.P95 })},
			{Label: "p99", Class: "c4", Values: values(doc.Course, func(p CoursePoint) *float64 { return p.P99 })},
		},
	}
	var keys []chartKey
	for _, line := range c.Lines {
		key := chartKey{Class: line.Class, Label: line.Label}
		for _, o := range doc.Objectives {
			if o.Unit == objective.UnitMilliseconds && strings.HasPrefix(o.Description, line.Label+" of ") && strings.Contains(o.Description, PendingRoute) {
				c.Limits = append(c.Limits, chart.Limit{Label: line.Label, Class: line.Class, Value: o.Target})
				key.Figure = ActualText(o) + ", target " + TargetText(o)
			}
		}
		keys = append(keys, key)
	}
	return c, keys
}

func pollsChart(doc Document) (chart.Chart, []chartKey) {
	c := chart.Chart{
		ID: "chart-polls", Title: "Polls per agent", Points: pointLabels(doc), Format: number.PerSecond,
		About: "Polls per second and polling agent over the window.",
		Lines: []chart.Line{{Label: "polls per agent", Class: "c3", Values: values(doc.Course, func(p CoursePoint) *float64 { return p.RPSPerAgent })}},
	}
	keys := []chartKey{{Class: "c3", Label: "measured"}}
	if p := doc.Sections.PendingDeployments; p != nil && p.RPSPerAgent != nil {
		keys[0].Figure = number.PerSecond(*p.RPSPerAgent)
		if p.ExpectedRPSPerAgent != nil {
			c.Limits = []chart.Limit{{Label: "as requested", Class: "muted", Value: *p.ExpectedRPSPerAgent}}
			keys = append(keys, chartKey{"muted dashed", "as requested", number.PerSecond(*p.ExpectedRPSPerAgent)})
		}
	}
	return c, keys
}

func daysChart(costs Costs) chart.Chart {
	c := chart.Chart{
		ID: "chart-days", Title: "Spend by day, in USD", Bars: true, Format: number.Significant,
		About: "The cost of each UTC day in USD. The table of costs by day has the figures.",
		Lines: []chart.Line{{Label: "cost", Class: "c1"}},
	}
	for _, day := range costs.Days {
		v := math.NaN()
		if day.CostUSD != nil {
			v = *day.CostUSD
		}
		label := printable(day.Name)
		if at, err := time.Parse(time.DateOnly, day.Name); err == nil {
			label = at.Format("02 Jan")
		}
		c.Points = append(c.Points, label)
		c.Lines[0].Values = append(c.Lines[0].Values, v)
	}
	return c
}

func tokensChart(costs Costs) chart.Rows {
	c := chart.Rows{
		ID: "chart-tokens", Title: "Tokens by model", Classes: []string{"c1", "c2", "c8"},
		About: "The tokens of each model, as input, output and tokens of unknown kind. The table of costs by model has the figures.",
	}
	models := slices.SortedStableFunc(slices.Values(costs.Models), func(a, b NamedSpend) int { return cmp.Compare(b.Tokens.Used, a.Tokens.Used) })
	for _, m := range models {
		if m.Tokens.Used == 0 {
			continue
		}
		name := m.Name
		if name == "" {
			name = "no model"
		}
		c.Rows = append(c.Rows, chart.Row{
			Label: name, Text: briefly(float64(m.Tokens.Used)),
			Parts: []float64{float64(m.Tokens.Input), float64(m.Tokens.Output), float64(max(m.Tokens.Used-m.Tokens.Input-m.Tokens.Output, 0))},
		})
	}
	return c
}

func successChart(e Executions) chart.Rows {
	c := chart.Rows{
		ID: "chart-success", Title: "Success rate by agent", Classes: []string{"ok", "bad"}, Full: 1,
		About: "The share of each agent's requests that succeeded. The table of executions by agent has the figures.",
	}
	for _, a := range e.Agents {
		if a.SuccessRate == nil {
			continue
		}
		c.Rows = append(c.Rows, chart.Row{
			Label: a.Name, Parts: []float64{*a.SuccessRate, 1 - *a.SuccessRate},
			Text: number.Percent(*a.SuccessRate) + " of " + number.Grouped(a.Count),
		})
	}
	return c
}

// briefly formats a number for an axis: 12.3 k, 4.5 M.
func briefly(x float64) string {
	for _, unit := range []struct {
		from float64
		name string
	}{{1e9, " G"}, {1e6, " M"}, {1e4, " k"}} {
		if x >= unit.from {
			by := unit.from
			if by == 1e4 {
				by = 1e3
			}
			return number.Significant(x/by) + unit.name
		}
	}
	return number.Significant(x)
}
