package report_test

import (
	"html"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

var (
	changesPattern = regexp.MustCompile(`(?s)<section class="changes">.*?</section>`)
	changePattern  = regexp.MustCompile(`<(?:li|p)>([^<]*)</(?:li|p)>`)
)

// changes returns the sentences of what changed in a document's page.
func changes(t *testing.T, doc report.Document) (all []string) {
	t.Helper()
	for _, match := range changePattern.FindAllStringSubmatch(changesPattern.FindString(rendered(t, doc, report.HTML, report.RenderOptions{})), -1) {
		all = append(all, html.UnescapeString(match[1]))
	}
	return all
}

// hourOf returns facts of requests to two routes, as successes and failures of each.
func hourOf(w report.Window, list, listFailed, create, createFailed int64) report.Facts {
	return report.Facts{Window: w, CoveredSeconds: 3600, Endpoints: []report.EndpointFacts{
		{Method: "GET", Route: "/api/agents", ByStatus: map[int]int64{200: list, 503: listFailed}, Latency: latencies(10, 1)},
		{Method: "POST", Route: "/api/deployments", ByStatus: map[int]int64{201: create, 500: createFailed}, Latency: latencies(10, 1)},
	}}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	const nothing = "No objective changed, and no figure by a tenth or more."
	errors := []objective.Objective{{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}}}
	tests := []struct {
		name        string
		before, now [4]int64 // as hourOf takes them
		objectives  []objective.Objective
		want        []string
	}{
		{"nothing", [4]int64{100, 1, 50, 1}, [4]int64{100, 1, 50, 1}, errors, []string{nothing}},
		{"less than a tenth", [4]int64{900, 0, 100, 0}, [4]int64{999, 0, 100, 0}, nil, []string{nothing}},
		{"a tenth more", [4]int64{900, 0, 100, 0}, [4]int64{1000, 0, 100, 0}, nil, []string{
			"Requests: 1,100 after 1,000 (+10 %). The largest part is GET /api/agents, with 1,000.",
		}},
		{"a tenth less", [4]int64{900, 0, 100, 0}, [4]int64{800, 0, 100, 0}, nil, []string{
			"Requests: 900 after 1,000 (-10 %).",
		}},
		{"the first errors", [4]int64{900, 0, 100, 0}, [4]int64{900, 0, 80, 20}, errors, []string{
			"Objective errors is missed now: 2 % after 0 %, target < 1 %. 20 in 1,000 answers.",
			"Error rate (5xx): 2 % after 0 % (+2 pp). The most frequent is 500 of POST /api/deployments, with 20.",
		}},
		{"fewer errors", [4]int64{900, 0, 80, 20}, [4]int64{900, 0, 100, 0}, errors, []string{
			"Objective errors is met again: 0 % after 2 %, target < 1 %.",
			"Error rate (5xx): 0 % after 2 % (-2 pp).",
		}},
		{"the first traffic", [4]int64{0, 0, 0, 0}, [4]int64{900, 0, 100, 0}, errors, []string{
			"Requests: 1,000 after 0. The largest part is GET /api/agents, with 900.",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := request()
			req.Sections = []report.Section{report.SectionSummary, report.SectionEndpoints, report.SectionErrors}
			req.Objectives = resolved(tt.objectives...)
			before := hourOf(lastHour.Previous(), tt.before[0], tt.before[1], tt.before[2], tt.before[3])
			doc := computed(t, req, hourOf(lastHour, tt.now[0], tt.now[1], tt.now[2], tt.now[3]), &before)
			if diff := cmp.Diff(tt.want, changes(t, doc)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A figure that falls has no contributor.
func TestChangesOfExecutions(t *testing.T) {
	t.Parallel()
	req := request()
	req.Sections, req.Objectives = []report.Section{report.SectionExecutions, report.SectionCosts}, nil
	want := []string{
		"Cost: 0.144 USD after 1.85 USD (-92.2 %).",
		"Tokens: 80,000 after 631,020 (-87.3 %).",
		"Executions that failed: 25 after 2 (+1,150 %). The largest part is of tutor, with 25.",
	}
	if diff := cmp.Diff(want, changes(t, computed(t, req, badHour(lastHour), previous(goodHour)))); diff != "" {
		t.Error(diff)
	}
}

// Counts of a window that was measured in part are not comparable.
func TestChangesOfAWindowMeasuredInPart(t *testing.T) {
	t.Parallel()
	req := request()
	req.Sections, req.Objectives = []report.Section{report.SectionSummary}, nil
	before := hourOf(lastHour.Previous(), 500, 0, 0, 0)
	before.CoveredSeconds = 1800
	want := []string{
		"Measured was 100 % of this window and 50 % of the one before: compare rates rather than counts.",
		"Requests: 1,000 after 500 (+100 %).",
	}
	if diff := cmp.Diff(want, changes(t, computed(t, req, hourOf(lastHour, 1000, 0, 0, 0), &before))); diff != "" {
		t.Error(diff)
	}
}
