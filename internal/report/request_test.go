package report_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

func TestParseRequest(t *testing.T) {
	objectives := []objective.Objective{{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.05"}}}
	tests := []struct {
		name string
		in   report.Input
		want func(*report.Request)
	}{
		{"nothing said", report.Input{}, func(r *report.Request) { r.Name = report.DefaultName }},
		{"hours", report.Input{Name: "x", Hours: new(int64(2))}, func(r *report.Request) {
			r.Name, r.Window.From = "x", noon.Add(-2*time.Hour)
		}},
		{"from and to, widened", report.Input{From: "2026-08-20T10:00:30+01:00", To: "2026-08-20T09:00:31Z"}, func(r *report.Request) {
			r.Name = report.DefaultName
			r.Window = report.Window{From: noon.Add(-3 * time.Hour), To: noon.Add(-3*time.Hour + time.Minute)}
		}},
		{"to a little ahead", report.Input{From: "2026-08-20T11:00:00Z", To: "2026-08-20T12:01:00Z"}, func(r *report.Request) {
			r.Name, r.Window.To = report.DefaultName, noon.Add(time.Minute)
		}},
		{"sections", report.Input{Sections: []string{"errors", "pendingDeployments"}}, func(r *report.Request) {
			r.Name = report.DefaultName
			r.Sections = []report.Section{report.SectionErrors, report.SectionPendingDeployments}
		}},
		{"objectives and no comparison", report.Input{Objectives: objectives, CompareWith: "None"}, func(r *report.Request) {
			r.Name, r.Objectives, r.CompareWith = report.DefaultName, objective.Resolve(objectives).All, report.CompareNone
		}},
		{"keep", report.Input{Keep: new(int64(report.MaxKeep))}, func(r *report.Request) {
			r.Name, r.Keep = report.DefaultName, report.MaxKeep
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := request()
			tt.want(&want)
			got, err := report.ParseRequest(tt.in, 1, noon)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Transformer("written", func(r objective.Resolved) objective.Objective { return r.Objective })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRequestReportsEveryFault(t *testing.T) {
	tests := []struct {
		name string
		in   report.Input
		want []string
	}{
		{"hours of none", report.Input{Hours: new(int64(0))}, []string{"hours"}},
		{"hours negative", report.Input{Hours: new(int64(-1))}, []string{"hours"}},
		{"hours of centuries", report.Input{Hours: new(int64(1e9))}, []string{"hours"}},
		{"hours and from", report.Input{Hours: new(int64(1)), From: "2026-08-20T11:00:00Z"}, []string{"hours"}},
		{"from alone", report.Input{From: "2026-08-20T11:00:00Z"}, []string{"to"}},
		{"to alone", report.Input{To: "2026-08-20T11:00:00Z"}, []string{"from"}},
		{"no times", report.Input{From: "yesterday", To: "1"}, []string{"from", "to"}},
		{"a time without a zone", report.Input{From: "2026-08-20T11:00:00", To: "2026-08-20T12:00:00Z"}, []string{"from"}},
		{"backwards", report.Input{From: "2026-08-20T11:00:00Z", To: "2026-08-20T10:00:00Z"}, []string{"from"}},
		{"no time between", report.Input{From: "2026-08-20T11:00:00Z", To: "2026-08-20T11:00:00Z"}, []string{"from"}},
		{"the future", report.Input{From: "2026-08-20T11:00:00Z", To: "2026-08-20T12:01:01Z"}, []string{"to"}},
		{"too long", report.Input{From: "2025-08-18T11:59:00Z", To: "2026-08-20T12:00:00Z"}, []string{"from"}},
		{"from the beginning", report.Input{From: "0001-01-01T00:00:00Z", To: "2026-08-20T12:00:00Z"}, []string{"from"}},
		{"the first year there is", report.Input{From: "0000-01-01T00:00:00Z", To: "0000-01-01T01:00:00Z"}, []string{"from"}},
		{"before 1970", report.Input{From: "1970-01-01T00:30:00+01:00", To: "1970-01-01T12:00:00Z"}, []string{"from"}},
		{"name too long", report.Input{Name: strings.Repeat("ü", 101)}, []string{"name"}},
		{"name with NUL", report.Input{Name: "a\x00"}, []string{"name"}},
		{"name not UTF-8", report.Input{Name: "\xff"}, []string{"name"}},
		{"name that turns around", report.Input{Name: "a\u202eb"}, []string{"name"}},
		{"no sections", report.Input{Sections: []string{}}, []string{"sections"}},
		{"sections without end", report.Input{Sections: slices.Repeat([]string{"errors"}, 1000)}, []string{"sections"}},
		{"unknown sections", report.Input{Sections: []string{"errors", "user", "pending_deployments"}}, []string{"sections[1]", "sections[2]"}},
		{"a section twice", report.Input{Sections: []string{"errors", "errors"}}, []string{"sections[1]"}},
		{"no objectives", report.Input{Objectives: []objective.Objective{}}, []string{"objectives"}},
		{"keep none", report.Input{Keep: new(int64(0))}, []string{"keep"}},
		{"keep too many", report.Input{Keep: new(int64(report.MaxKeep + 1))}, []string{"keep"}},
		{"another comparison", report.Input{CompareWith: "previous"}, []string{"compare_with"}},
		{"everything", report.Input{
			Name: "\n", Hours: new(int64(-1)), Sections: []string{""}, Objectives: []objective.Objective{{}}, CompareWith: "x",
		}, []string{"name", "hours", "sections[0]", "objectives[0].name", "objectives[0]", "compare_with"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := report.ParseRequest(tt.in, 24, noon)
			wantFields(t, err, tt.want...)
		})
	}
}

func TestUnknownFieldsAreNamedByAStrictDecoder(t *testing.T) {
	for body, want := range map[string]string{
		`{"objectives":[{"name":"x","availability":{"min":"0.95"}}]}`:       "availability",
		`{"objectives":[{"name":"x","successRate":{"max":"0.95"}}]}`:        "max",
		`{"objectives":[{"name":"x","successRate":{"min":0.95}}]}`:          "min",
		`{"objectives":[{"name":"x","cost":{"maxEUR":"50"}}]}`:              "maxEUR",
		`{"objectives":[{"name":"x","cost":{"maxUSD":50}}]}`:                "maxUSD",
		`{"objectives":[{"name":"x","latency":{"percentile":"0.95"}}]}`:     "percentile",
		`{"compareWith":"None"}`:                                            "compareWith",
		`{"objectives":[{"name":"x","errorRate":{"max":0.01}}],"hours":24}`: "max",
	} {
		decoder := json.NewDecoder(strings.NewReader(body))
		decoder.DisallowUnknownFields()
		var in report.Input
		if err := decoder.Decode(&in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("decoding %s: got error %v, want one that names %s", body, err, want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"name":"x","hours":24,"sections":["errors"],"compare_with":"None"}`))
	f.Add([]byte(`{"from":"2026-08-20T11:00:00Z","to":"2026-08-20T12:00:00Z"}`))
	all, err := json.Marshal(report.Input{Objectives: append(objective.Defaults(),
		objective.Objective{Name: "tutor", SuccessRate: &objective.SuccessRate{Min: "0.9", Agent: "tutor"}},
		objective.Objective{Name: "day", Cost: &objective.Cost{MaxUSD: "50"}},
		objective.Objective{Name: "window", Cost: &objective.Cost{MaxUSD: "0.5", Period: objective.PeriodWindow}},
	)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, body []byte) {
		var in report.Input
		if json.Unmarshal(body, &in) != nil {
			return
		}
		r, err := report.ParseRequest(in, 24, noon)
		if err != nil {
			return
		}
		// Valid requests can be computed and rendered.
		current := goodHour(r.Window)
		before := badHour(r.Window.Previous())
		doc, err := report.Compute(r, current, &before, noon, "id")
		if err != nil {
			t.Fatalf("Compute: %v", err)
		}
		for _, format := range report.Formats() {
			if err := report.Render(&bytes.Buffer{}, doc, format, report.RenderOptions{}); err != nil {
				t.Fatalf("Render as %s: %v", format, err)
			}
		}
	})
}
