package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
)

// maxChanges is the maximum number of sentences of what changed.
const maxChanges = 8

// changesOf returns what changed against the window before, and the largest part of each figure that rose: first the
// objectives that are met no longer or again, then the figures that moved by a tenth or more.
func changesOf(doc Document) []string {
	if doc.Previous == nil {
		return nil
	}
	before := map[string]objective.Result{}
	for _, r := range doc.Previous.Objectives {
		before[r.Name] = r
	}
	var all []string
	if s := unlikeCoverage(doc.Window, doc.Previous.Window); s != "" {
		all = append(all, s)
	}
	for _, now := range doc.Objectives {
		then, known := before[now.Name]
		if !known || now.Met == nil || then.Met == nil || *now.Met == *then.Met {
			continue
		}
		outcome := "is missed now"
		if *now.Met {
			outcome = "is met again"
		}
		s := fmt.Sprintf("Objective %s %s: %s after %s, target %s.", printable(now.Name), outcome, ActualText(now), ActualText(then), TargetText(now))
		if !*now.Met && now.Detail != "" {
			s += " " + printable(now.Detail) + "."
		}
		all = append(all, s)
	}
	all = append(all, movedFigures(doc)...)
	return all[:min(len(all), maxChanges)]
}

// unlikeCoverage says that one of two windows was measured for less of its time than the other, which counts show too.
func unlikeCoverage(now, before Coverage) string {
	if !moved(now.share(), before.share()) {
		return ""
	}
	return fmt.Sprintf("Measured was %s of this window and %s of the one before: compare rates rather than counts.",
		number.Percent(now.share()), number.Percent(before.share()))
}

func movedFigures(doc Document) []string {
	var all []string
	say := func(name string, now, before cell, reason string) {
		if now.value == nil || before.value == nil || !moved(*now.value, *before.value) {
			return
		}
		s := fmt.Sprintf("%s: %s after %s", name, now.text, before.text)
		if by := changed(now, before).text; by != nothing && by != "=" {
			s += " (" + by + ")"
		}
		s += "."
		if reason != "" && *now.value > *before.value {
			s += " " + reason
		}
		all = append(all, s)
	}
	s, p := doc.Sections, *doc.Previous
	if s.Summary != nil {
		say("Requests", count(s.Summary.Requests, "requests"), count(p.Summary.Requests, "requests"), busiestEndpoint(s.Endpoints))
		say("Error rate (5xx)", share(s.Summary.ErrorRate), share(p.Summary.ErrorRate), commonestError(s.Errors, true))
		say("Client error rate (4xx)", share(s.Summary.ClientErrorRate), share(p.Summary.ClientErrorRate), commonestError(s.Errors, false))
		say("Latency, p95", ms(s.Summary.Latency.P95), ms(p.Summary.Latency.P95), slowestEndpoint(s.Endpoints))
	}
	if s.Costs != nil && p.Costs != nil {
		say("Cost", usd(s.Costs.CostUSD), usd(p.Costs.CostUSD), dearest(s.Costs.Models))
		say("Tokens", count(s.Costs.Tokens.Used, "tokens"), count(p.Costs.Tokens.Used, "tokens"), "")
	}
	if s.Executions != nil && p.Executions != nil {
		say("Executions that failed", count(s.Executions.Failed, "requests"), count(p.Executions.Failed, "requests"), mostFailures(s.Executions.Agents))
	}
	return all
}

// moved reports whether a figure changed by a tenth or more of its former value.
func moved(now, before float64) bool {
	return now != before && math.Abs(now-before)*10 >= math.Abs(before)
}

func busiestEndpoint(all []Endpoint) string {
	if len(all) == 0 {
		return ""
	}
	e := slices.MaxFunc(all, func(a, b Endpoint) int { return cmp.Compare(a.Requests, b.Requests) })
	return fmt.Sprintf("The largest part is %s, with %s.", printable(e.Method+" "+e.Route), number.Grouped(e.Requests))
}

func slowestEndpoint(all []Endpoint) string {
	var slowest Endpoint
	highest := 0.0
	for _, e := range all {
		if e.Latency.P95 != nil && *e.Latency.P95 > highest {
			slowest, highest = e, *e.Latency.P95
		}
	}
	if highest == 0 {
		return ""
	}
	return fmt.Sprintf("The slowest is %s, with %s.", printable(slowest.Method+" "+slowest.Route), number.Milliseconds(highest))
}

func commonestError(e *Errors, ofServer bool) string {
	if e == nil {
		return ""
	}
	for _, r := range e.ByRoute { // the most frequent first
		if (r.Status >= 500) == ofServer {
			return fmt.Sprintf("The most frequent is %d of %s, with %s.", r.Status, printable(r.Method+" "+r.Route), number.Grouped(r.Count))
		}
	}
	return ""
}

func dearest(models []NamedSpend) string {
	for _, m := range models {
		if m.CostUSD != nil && *m.CostUSD > 0 {
			return fmt.Sprintf("The largest part is of %s, with %s.", cmp.Or(printable(m.Name), "no model"), dollars(*m.CostUSD))
		}
	}
	return ""
}

func mostFailures(agents []NamedExecutions) string {
	var most NamedExecutions
	for _, a := range agents {
		if a.Failed > most.Failed {
			most = a
		}
	}
	if most.Failed == 0 {
		return ""
	}
	return fmt.Sprintf("The largest part is of %s, with %s.", printable(most.Name), number.Grouped(most.Failed))
}
