package rules_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// expand expands a template as Prometheus does.
func expand(t *testing.T, text string, value float64) string {
	t.Helper()
	data := template.AlertTemplateData(map[string]string{"agent": "from the labels"}, nil, "", promql.Sample{F: value})
	head := "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
	noQuery := func(context.Context, string, time.Time) (promql.Vector, error) { return nil, errors.New("no query") }
	got, err := template.NewTemplateExpander(t.Context(), head+text, "alert", data, model.Time(0), noQuery, &url.URL{}, nil).Expand()
	if err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return got
}

// matched returns the values of a label in the expressions' matchers.
func matched(t *testing.T, file rules.File, label string) []string {
	t.Helper()
	var values []string
	for _, g := range file.Groups {
		for _, rule := range g.Rules {
			expr, err := parser.ParseExpr(rule.Expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, selectors := range parser.ExtractSelectors(expr) {
				for _, m := range selectors {
					if m.Name == label && m.Type == labels.MatchEqual {
						values = append(values, m.Value)
					}
				}
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// TestHostileText checks that users' text is unchanged in expressions, labels and annotations.
func TestHostileText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"plain", "{{", "{{{", "{", "}}", "{{ $labels.agent }}", "$labels.agent", "{{ $value }}", `{{"{{"}}`, "{{-", "{{/* */}}",
		"{{ template \"x\" }}", `"`, `'`, "`", `\`, `\"`, `"} or vector(1) #`, "a\nb", "a\r\nb", "a\tb", "# no comment", "- a: b", "%s%d",
		"é\u00a0\u2028\ufeff😀", "\x00\x1b[2J", strings.Repeat("{", 100), "a,b=c", "$1", "(.*)",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			route, agent := "/"+text, text
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				route, agent = "/x", "x" // rejected by objectives
			}
			r := rules.Report{
				Namespace: text, Name: text, Labels: map[string]string{"team": text, "severity": text},
				Objectives: objective.Resolve([]objective.Objective{latency("slow", "GET", route, "0.99", "1s"), errorRate("0.5", route), success("0.9", agent)}),
			}
			o := rules.Options{Selector: map[string]string{"job": text}, ControllerSelector: map[string]string{"job": text}}
			file, _ := build(t, r, o)
			for label, want := range map[string]string{
				"route": route, "agent": agent, "job": text, "report": text, "report_namespace": text,
			} {
				if got := matched(t, file, label); !slices.Equal(got, []string{want}) {
					t.Errorf("%s: want %q, got %q", label, want, got)
				}
			}
			for _, g := range file.Groups {
				for _, rule := range g.Rules {
					checkTexts(t, rule, text, route, agent)
				}
			}
			parsed, faults := rulefmt.Parse([]byte(yamlOf(t, file)), false, model.LegacyValidation)
			if len(faults) > 0 || parsed.Groups[0].Rules[0].Labels["report"] != text {
				t.Errorf("read again: %v, %q", faults, parsed.Groups[0].Rules[0].Labels)
			}
		})
	}
}

func checkTexts(t *testing.T, rule rules.Rule, text, route, agent string) {
	t.Helper()
	if rule.Record != "" { // labels of recording rules are not templates
		if rule.Labels["report"] != text || rule.Labels["report_namespace"] != text {
			t.Errorf("%s has labels %q", rule.Record, rule.Labels)
		}
		return
	}
	for _, label := range []string{"team", "severity", "report", "report_namespace"} {
		if got := expand(t, rule.Labels[label], 1); got != text {
			t.Errorf("%s, label %s: want %q, got %q", rule.Alert, label, text, got)
		}
	}
	annotations := expand(t, rule.Annotations["summary"], 0.1234) + expand(t, rule.Annotations["description"], 0.1234)
	wants := []string{text + "/" + text}
	switch rule.Alert {
	case "WatchbillLatencyHigh":
		wants = append(wants, "requests to GET "+route+" took", "p99 of GET "+route+" below")
	case "WatchbillErrorRateHigh":
		wants = append(wants, "responses of "+route+" were")
	case "WatchbillSuccessRateLow":
		wants = append(wants, "requests to "+agent+" failed")
	case "WatchbillTargetAbsent":
		wants = []string{"of report " + text + "/" + text}
	}
	for _, want := range wants {
		if !strings.Contains(annotations, want) {
			t.Errorf("%s: want %q in %q", rule.Alert, want, annotations)
		}
	}
}

// FuzzBuild checks that Build returns valid rules, or faults that name a field.
func FuzzBuild(f *testing.F) {
	f.Add("fleet", "daily", "/a/{id}", "helper", "team", "{{ $labels }}", "watchbill", "200ms", "0.95", int64(50))
	f.Add("{{", "\"\n", "/{{{", "\\", "severity", "\x00", "'", "2.5s", "0.999999999", int64(1))
	f.Add("", "\xff", "x", "\u2028", "a-b", "{", "", "0s", "1e9", int64(-1))
	f.Fuzz(func(t *testing.T, namespace, name, route, agent, label, value, job, threshold, quantile string, minEvents int64) {
		r := rules.Report{
			Namespace: namespace, Name: name, Labels: map[string]string{label: value}, MinEvents: minEvents, Window: time.Hour,
			Objectives: objective.Resolve([]objective.Objective{
				latency("slow", "", route, quantile, threshold), errorRate(quantile, route), success(quantile, agent),
				pool(quantile), polling(quantile, quantile), cost("window", quantile, objective.PeriodWindow),
			}),
		}
		o := rules.Options{Selector: map[string]string{"job": job}}
		file, _, err := rules.Build(r, o)
		var faults report.FieldErrors
		if errors.As(err, &faults) {
			for _, fault := range faults {
				if fault.Field == "" || !utf8.ValidString(fault.Problem) || len(fault.Problem) > 500 {
					t.Errorf("%s: %q", fault.Field, fault.Problem)
				}
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		verify(t, file)
		if got := matched(t, file, "job"); !slices.Equal(got, []string{job}) {
			t.Errorf("want job %q, got %q", job, got)
		}
		for _, g := range file.Groups {
			for _, rule := range g.Rules {
				if want := value; rule.Alert != "" && expand(t, rule.Labels[label], 1) != want {
					t.Errorf("want label %q, got %q", want, rule.Labels[label])
				}
			}
		}
		if _, err := rules.Tests(r, o, "rules.yaml"); err != nil {
			t.Error(err)
		}
	})
}

// TestDescriptions checks that each alert's text contains the figure, the limit, and the time range.
func TestDescriptions(t *testing.T) {
	t.Parallel()
	r := daily(latency("slow", "", "/a", "0.99", "1s"), errorRate("0.01", ""), success("0.9", "helper"), queryTime("0.5", "100ms"),
		pool("0.8"), polling("0.1", "0.5"), cost("day", "50", ""), cost("window", "7.5", objective.PeriodWindow))
	r.Window, r.RunbookURL = 12*time.Hour, "https://runbooks.example/x/"
	file, _ := build(t, r, rules.Options{RunbookURL: "https://elsewhere"})
	want := map[string]string{
		"slow critical 1h": "12.34% of requests to /a took longer than 1s in the last 1h, and more than 14.4% in the last 5m. " +
			"The objective (p99 of /a below 1s) allows 1%; at 14.4%, 14.4 times as much, the budget of 30 days lasts 2d2h.",
		"errors critical 6h": "12.34% of all responses were 5xx in the last 6h, and more than 6% in the last 30m. " +
			"The objective (5xx below 1% of all responses) allows 1%; at 6%, 6 times as much, the budget of 30 days lasts 5d.",
		"success warning 3d": "12.34% of requests to helper failed in the last 3d, and more than 10% in the last 6h. " +
			"The objective (more than 90% of requests to helper successful) allows 10%; at 10% the budget of 30 days lasts 30d.",
		"queries warning 30m": "12.34% of all database queries took longer than 100ms in the last 30m. " +
			"The objective (p50 of all database queries below 100ms) allows less than 50%.",
		"pool warning ": "The worst replica had 12.34% of its database connections in use, averaged over 15m. The objective allows less than 80%.",
		"polling warning ": "Agents that are online or late made 123.4m polls per second each, over 15m. " +
			"The objective is 0.1, or the rate that the server asks for if that is less, and at most 50% away from it.",
		"day warning ":       "AI agents' executions of this UTC day cost 0.12 USD so far. The objective allows less than 50 USD a day.",
		"window warning 12h": "AI agents' executions cost 0.12 USD in the last 12h. The objective allows less than 7.5 USD.",
		" critical ": "Prometheus has scraped no replica for 5 minutes, so the objectives of report fleet/daily are not evaluated. " +
			"Either the API is down or Prometheus does not find it.",
	}
	for _, g := range file.Groups {
		for _, rule := range g.Rules {
			if rule.Alert == "" {
				continue
			}
			if got, want := rule.Annotations["runbook_url"], "https://runbooks.example/x/"+rule.Alert+".md"; got != want {
				t.Errorf("want runbook %s, got %s", want, got)
			}
			if rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
				t.Errorf("%s says %q", rule.Alert, rule.Annotations)
			}
			key := rule.Labels["objective"] + " " + rule.Labels["severity"] + " " + rule.Labels["window"]
			text, found := want[key]
			delete(want, key)
			if got := expand(t, rule.Annotations["description"], 0.1234); found && got != text {
				t.Errorf("%s: want\n%s\ngot\n%s", key, text, got)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("there are no alerts for %q", want)
	}
}
