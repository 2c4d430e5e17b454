package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/report"
)

// withCourse returns a good hour with the traffic of its minutes, of which the second half was not measured.
func withCourse() report.Facts {
	f := goodHour(lastHour)
	for from := f.Window.From; from.Before(f.Window.To); from = from.Add(time.Minute) {
		step := report.Facts{Window: report.Window{From: from, To: from.Add(time.Minute)}}
		if len(f.Steps) < 30 {
			step.CoveredSeconds, step.Agents.Polling = 60, 10
			step.Endpoints = []report.EndpointFacts{{
				Method: report.PendingMethod, Route: report.PendingRoute, ByStatus: map[int]int64{200: 50, 404: 2, 503: 1},
				Latency: latencies(50, 1, 20, 300),
			}}
		}
		f.Steps = append(f.Steps, step)
	}
	return f
}

func TestHTMLHasCharts(t *testing.T) {
	t.Parallel()
	doc := computed(t, request(), withCourse(), previous(badHour))
	html := rendered(t, doc, report.HTML, report.RenderOptions{})
	checkHTML(t, html)
	for _, id := range []string{"chart-traffic", "chart-latency", "chart-polls", "chart-days", "chart-tokens", "chart-success"} {
		if !strings.Contains(html, `<title id="`+id+`-title">`) {
			t.Errorf("there is no chart %s", id)
		}
	}
	// 30 measured minutes of 53 requests.
	for _, want := range []string{"1,590 requests, of which 30 with a status 5xx and 60 with a status 4xx.", "What changed against the window before"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// Reports of earlier releases have no course; the charts of their sections remain.
func TestHTMLOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	html := rendered(t, computed(t, request(), goodHour(lastHour), nil), report.HTML, report.RenderOptions{})
	checkHTML(t, html)
	if strings.Contains(html, "chart-traffic") || !strings.Contains(html, "chart-success") {
		t.Error("want the charts of the sections alone")
	}
}
