package report_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

// computed returns the report of a request.
func computed(t *testing.T, req report.Request, current report.Facts, previous *report.Facts) report.Document {
	t.Helper()
	doc, err := report.Compute(req, current, previous, noon.Add(3*time.Second), "0198c3a0-0000-7000-8000-000000000000")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestDocumentHasTheSectionsAskedFor(t *testing.T) {
	for _, section := range report.AllSections() {
		for name, f := range map[string]report.Facts{"good": goodHour(lastHour), "idle": idleHour(lastHour)} {
			req := request()
			req.Sections = []report.Section{section}
			got := asJSON(t, computed(t, req, f, nil)).(object)["sections"].(object)
			if keys := slices.Collect(maps.Keys(got)); !cmp.Equal(keys, []string{string(section)}) {
				t.Errorf("%s hour, asked for %s: got %v", name, section, keys)
			}
		}
	}
}

func TestDocumentKeys(t *testing.T) {
	doc := asJSON(t, computed(t, request(), goodHour(lastHour), previous(badHour))).(object)
	want := []string{"generated_at", "id", "name", "objectives", "previous", "sections", "verdict", "window"}
	if got := slices.Sorted(maps.Keys(doc)); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	window := object{"from": "2026-08-20T11:00:00Z", "to": "2026-08-20T12:00:00Z", "covered_seconds": 3600.0}
	if diff := cmp.Diff(any(window), doc["window"]); diff != "" {
		t.Errorf("window (-want +got):\n%s", diff)
	}
	before := doc["previous"].(object)
	if got, want := slices.Sorted(maps.Keys(before)), []string{"active_users", "costs", "executions", "objectives", "summary", "verdict", "window"}; !cmp.Equal(got, want) {
		t.Errorf("previous: got %v, want %v", got, want)
	}
	if doc["verdict"] != "Pass" || before["verdict"] != "Fail" {
		t.Errorf("got verdict %v, previously %v; want Pass, Fail", doc["verdict"], before["verdict"])
	}
}

func TestDocumentWithoutComparison(t *testing.T) {
	none := request()
	none.CompareWith = report.CompareNone
	if doc := computed(t, none, goodHour(lastHour), previous(badHour)); doc.Previous != nil {
		t.Error("got a previous window that was not asked for")
	}
	if doc := computed(t, request(), goodHour(lastHour), nil); doc.Previous != nil {
		t.Error("got a previous window without facts")
	}
}

func TestDocumentSurvivesStoring(t *testing.T) {
	for name, f := range map[string]report.Facts{"good": goodHour(lastHour), "idle": idleHour(lastHour)} {
		want := computed(t, request(), f, previous(badHour))
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got report.Document
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s hour (-want +got):\n%s", name, diff)
		}
	}
}

func TestComputeRejectsOversizedReports(t *testing.T) {
	invalid := request()
	invalid.Objectives = []objective.Resolved{{Objective: objective.Objective{Name: "x"}}}
	elsewhere := goodHour(lastHour.Previous())
	for name, tt := range map[string]struct {
		req      report.Request
		current  report.Facts
		previous *report.Facts
	}{
		"objectives that were not parsed":      {invalid, goodHour(lastHour), nil},
		"facts of another window":              {request(), elsewhere, nil},
		"previous facts of the current window": {request(), goodHour(lastHour), new(goodHour(lastHour))},
	} {
		if _, err := report.Compute(tt.req, tt.current, tt.previous, noon, "id"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestSectionsAreOrderedAndBounded(t *testing.T) {
	f := goodHour(lastHour)
	for i := range 100 {
		name := fmt.Sprintf("/route/%03d", i)
		f.Endpoints = append(f.Endpoints, report.EndpointFacts{Method: "GET", Route: name, ByStatus: map[int]int64{404: int64(i)}})
		f.Queries = append(f.Queries, report.QueryFacts{Name: name, Count: 1, Latency: latencies(1, float64(100+i))})
	}
	f.Pool = append(f.Pool, report.PoolFacts{Replica: "unsized"})
	s := computed(t, request(), f, nil).Sections

	if got := len(s.Errors.ByRoute); got != report.MaxErrors {
		t.Errorf("got %d routes with errors, want %d", got, report.MaxErrors)
	}
	if got := s.Errors.ByRoute[0]; got.Route != "/route/099" || got.Count != 99 {
		t.Errorf("got %+v as most frequent error, want /route/099 with 99", got)
	}
	if got := len(s.Queries.Slowest); got != report.MaxQueries {
		t.Errorf("got %d slow queries, want %d", got, report.MaxQueries)
	}
	if got := s.Queries.Slowest[0].Name; got != "/route/099" {
		t.Errorf("got %s as slowest query, want /route/099", got)
	}
	if got, want := s.Queries.Executed, int64(121+7200+1+100); got != want {
		t.Errorf("got %d queries executed, want %d, those not named included", got, want)
	}
	var replicas []string
	for _, r := range s.DatabasePool.Replicas {
		replicas = append(replicas, r.Replica)
	}
	if want := []string{"api-1", "api-0", "unsized"}; !cmp.Equal(replicas, want) {
		t.Errorf("got replicas %v, want %v", replicas, want)
	}
	var names []string
	for _, i := range s.Indexes {
		names = append(names, i.Name)
	}
	if want := []string{"agents_name_idx", "idx_deployment_agent_status_created", "idx_deployment_status"}; !cmp.Equal(names, want) {
		t.Errorf("got indexes %v, want %v", names, want)
	}
}
