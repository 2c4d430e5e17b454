package job_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may lack time zones

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func aSpec() reportjob.Spec {
	return reportjob.Spec{
		Namespace: "fleet", Name: "daily", Schedule: "0 8 * * *", TimeZone: "Europe/Berlin", CompareWith: report.ComparePrevious, Keep: 30,
		Sections:   []string{"summary", "errors"},
		Objectives: objective.Defaults(),
		Outputs: []reportjob.Output{
			{Format: report.HTML, File: &reportjob.File{Root: "/outputs/0", Path: "reports/daily", Volume: "reports"}},
			{Format: report.JSON, S3: &reportjob.S3{
				Bucket: "reports", Prefix: "fleet", Endpoint: "https://s3.example:9000", Region: "eu-central-1", Credentials: "/secrets/1", Secret: "s3",
			}},
			{Format: report.Markdown, Webhook: &reportjob.Webhook{URLFile: "/secrets/2/url", Secret: "hook/url", Style: reportjob.Slack}},
		},
	}
}

func encoded(t testing.TB, s reportjob.Spec) string {
	t.Helper()
	content, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestParseSpec(t *testing.T) {
	t.Parallel()
	minimum := reportjob.Spec{Namespace: "a", Name: "b.c", Schedule: "@every 90m", TimeZone: "Etc/UTC", CompareWith: report.CompareNone, Keep: 1}
	for _, want := range []reportjob.Spec{aSpec(), minimum} {
		got, err := reportjob.ParseSpec(encoded(t, want), noon)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestParseSpecReportsEveryFault makes one change at a time, and then all.
func TestParseSpecReportsEveryFault(t *testing.T) {
	t.Parallel()
	faults := []struct {
		field  string
		change func(*reportjob.Spec)
	}{
		{"namespace", func(s *reportjob.Spec) { s.Namespace = "../kube-system" }},
		{"name", func(s *reportjob.Spec) { s.Name = strings.Repeat("a", 41) }},
		{"timeZone", func(s *reportjob.Spec) { s.TimeZone = "Local" }},
		{"schedule", func(s *reportjob.Spec) { s.Schedule = "0 0 31 2 *" }},
		{"window", func(s *reportjob.Spec) { s.Window = "90s" }},
		{"compareWith", func(s *reportjob.Spec) { s.CompareWith = "" }},
		{"sections[1]", func(s *reportjob.Spec) { s.Sections[1] = "weather" }},
		{"objectives[3].errorRate.max", func(s *reportjob.Spec) { s.Objectives[3].ErrorRate.Max = "2" }},
		{"keep", func(s *reportjob.Spec) { s.Keep = 0 }},
		{"outputs[0].format", func(s *reportjob.Spec) { s.Outputs[0].Format = "pdf" }},
		{"outputs[0].file.root", func(s *reportjob.Spec) { s.Outputs[0].File.Root = "outputs" }},
		{"outputs[0].file.path", func(s *reportjob.Spec) { s.Outputs[0].File.Path = "a/../../b" }},
		{"outputs[0].file.volume", func(s *reportjob.Spec) { s.Outputs[0].File.Volume = "" }},
		{"outputs[1].s3.bucket", func(s *reportjob.Spec) { s.Outputs[1].S3.Bucket = "Reports" }},
		{"outputs[1].s3.prefix", func(s *reportjob.Spec) { s.Outputs[1].S3.Prefix = "/a" }},
		{"outputs[1].s3.endpoint", func(s *reportjob.Spec) { s.Outputs[1].S3.Endpoint = "https://user:word@s3.example/" }},
		{"outputs[1].s3.region", func(s *reportjob.Spec) { s.Outputs[1].S3.Region = "eu central" }},
		{"outputs[1].s3.credentials", func(s *reportjob.Spec) { s.Outputs[1].S3.Credentials = "/secrets/../etc" }},
		{"outputs[1].s3.secret", func(s *reportjob.Spec) { s.Outputs[1].S3.Secret = "A" }},
		{"outputs[2].webhook.urlFile", func(s *reportjob.Spec) { s.Outputs[2].Webhook.URLFile = "/secrets/\x00" }},
		{"outputs[2].webhook.secret", func(s *reportjob.Spec) { s.Outputs[2].Webhook.Secret = "hook" }},
		{"outputs[2].webhook.style", func(s *reportjob.Spec) { s.Outputs[2].Webhook.Style = "Teams" }},
		{"outputs[3]", func(s *reportjob.Spec) { s.Outputs = append(s.Outputs, reportjob.Output{Format: report.JSON}) }},
		{"outputs[4]", func(s *reportjob.Spec) {
			for len(s.Outputs) < 5 {
				s.Outputs = append(s.Outputs, aSpec().Outputs[0])
			}
			s.Outputs[4].S3 = aSpec().Outputs[1].S3
		}},
	}
	everything := aSpec()
	var all []string
	for _, fault := range faults {
		s := aSpec()
		fault.change(&s)
		if diff := cmp.Diff([]string{fault.field}, fieldsOf(t, s)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", fault.field, diff)
		}
		fault.change(&everything)
		all = append(all, fault.field)
	}
	got := fieldsOf(t, everything)
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("all at once: (-want +got)\n%s", diff)
	}
}

func fieldsOf(t *testing.T, s reportjob.Spec) []string {
	t.Helper()
	_, err := reportjob.ParseSpec(encoded(t, s), noon)
	var faults report.FieldErrors
	if !errors.As(err, &faults) {
		t.Fatalf("want faults of fields, got %v", err)
	}
	var fields []string
	for _, fault := range faults {
		fields = append(fields, fault.Field)
	}
	return fields
}

func TestParseSpecRejectsNonSpecs(t *testing.T) {
	t.Parallel()
	good := encoded(t, aSpec())
	for content, want := range map[string]string{
		"":          "the spec is empty",
		"\t":        "the spec is empty",
		"null":      "namespace",
		"[]":        "cannot be read",
		"{":         "cannot be read",
		"\x00":      "cannot be read",
		good[1:]:    "cannot be read",
		good + "{}": "follows",
		strings.Replace(good, `"keep"`, `"keeps"`, 1):        "keeps",
		strings.Replace(good, `"latency"`, `"lateness"`, 1):  "lateness",
		strings.Replace(good, `"keep":30`, `"keep":"30"`, 1): "keep",
		good + strings.Repeat(" ", reportjob.MaxSpec):        "bytes",
		strings.Repeat(`{"outputs":[`, 5000):                 "cannot be read",
	} {
		if _, err := reportjob.ParseSpec(content, noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: want an error with %q, got %v", content, want, err)
		}
	}
	many := aSpec()
	for range reportjob.MaxOutputs {
		many.Outputs = append(many.Outputs, many.Outputs[0])
	}
	if diff := cmp.Diff([]string{"outputs"}, fieldsOf(t, many)); diff != "" {
		t.Errorf("too many outputs: (-want +got)\n%s", diff)
	}
}

func TestSlot(t *testing.T) {
	t.Parallel()
	eight := time.Date(2026, 1, 15, 8, 0, 0, 0, time.UTC)
	now := noon.Add(34 * time.Second)
	for _, tt := range []struct {
		job  string
		want time.Time
	}{
		{schedule.JobName("daily-report", eight), eight},
		{schedule.JobName("daily-report-now", noon), noon},
		{schedule.JobName("daily-report", noon.Add(10*time.Minute)), noon.Add(10 * time.Minute)}, // clocks differ
		{"", noon},
		{"by-hand", noon},
		{"by-hand-20260115", noon},
		{"by-hand-99999999", noon},
	} {
		if got := reportjob.Slot(tt.job, now); !got.Equal(tt.want) {
			t.Errorf("%q: want %v, got %v", tt.job, tt.want, got)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	utc := func(s string) time.Time {
		parsed, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, tt := range []struct{ schedule, window, slot, from string }{
		{"0 8 * * *", "", "2026-01-15 07:00", "2026-01-14 07:00"},
		{"0 8 * * *", "", "2026-03-29 06:00", "2026-03-28 07:00"}, // clocks went forward
		{"0 8 * * *", "24h", "2026-03-29 06:00", "2026-03-28 06:00"},
		{"0 8 * * *", "", "2026-01-15 09:30", "2026-01-15 07:00"}, // requested between slots
		{"0 8 * * 1-5", "", "2026-01-19 07:00", "2026-01-16 07:00"},
		{"@every 90m", "", "2026-01-15 09:30", "2026-01-15 08:00"},
		{"0 0 29 2 *", "8784h", "2028-02-28 23:00", "2027-02-27 23:00"},
	} {
		s := aSpec()
		s.Schedule, s.Window = tt.schedule, tt.window
		got, err := s.Covers(utc(tt.slot))
		if err != nil {
			t.Errorf("%s: %v", tt.schedule, err)
		}
		if diff := cmp.Diff(report.Window{From: utc(tt.from), To: utc(tt.slot)}, got); diff != "" {
			t.Errorf("%s %s to %s: (-want +got)\n%s", tt.schedule, tt.window, tt.slot, diff)
		}
	}
	rare := aSpec()
	rare.Schedule = "0 0 29 2 *"
	if _, err := rare.Covers(utc("2028-02-28 23:00")); err == nil || !strings.Contains(err.Error(), "set window") {
		t.Errorf("four years: got %v", err)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	s := aSpec()
	window, err := s.Covers(noon)
	if err != nil {
		t.Fatal(err)
	}
	request, err := report.ParseRequest(s.Request(window), 1, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := report.Request{
		Name: "daily", Window: window, Objectives: objective.Resolve(nil).All, CompareWith: report.ComparePrevious, Keep: 30,
		Sections: []report.Section{report.SectionSummary, report.SectionErrors},
	}
	if diff := cmp.Diff(want, request, cmp.Transformer("written", func(r objective.Resolved) objective.Objective { return r.Objective })); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestFileName(t *testing.T) {
	t.Parallel()
	slot := time.Date(2026, 1, 15, 9, 0, 0, 0, time.FixedZone("", 3600))
	for format, want := range map[report.Format]string{
		report.HTML: "daily-20260115T0800Z.html", report.JSON: "daily-20260115T0800Z.json", report.Markdown: "daily-20260115T0800Z.md",
		report.CSV: "daily-20260115T0800Z.csv", report.Text: "daily-20260115T0800Z.txt",
	} {
		if got := reportjob.FileName("daily", slot, format); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	own := []string{"daily-20260113T0800Z.json", "daily-20260111T0800Z.json", "daily-20260112T0800Z.json", "daily-20251231T2359Z.json"}
	others := []string{
		"daily-20250101T0800Z.html", "daily-20250101T0800Z.json.bak", "daily-2-20250101T0800Z.json", "xdaily-20250101T0800Z.json",
		"daily-20251332T0800Z.json", "daily-20250101T0800.json", "daily-20250101t0800z.json", "daily-notes.json", "daily-.json", "", ".",
		"daily-+0250101T0800Z.json", "../daily-20250101T0800Z.json", "daily-20250101T0800Z.json/x", "DAILY-20250101T0800Z.json",
	}
	files := append(append([]string{}, others...), own...)
	for _, tt := range []struct {
		keep  int
		spare string
		want  []string
	}{
		{5, "", []string{}},
		{4, "", []string{}},
		{2, "", []string{"daily-20251231T2359Z.json", "daily-20260111T0800Z.json"}},
		{1, "", []string{"daily-20251231T2359Z.json", "daily-20260111T0800Z.json", "daily-20260112T0800Z.json"}},
		{0, "", []string{"daily-20251231T2359Z.json", "daily-20260111T0800Z.json", "daily-20260112T0800Z.json"}}, // never all
		{2, "daily-20251231T2359Z.json", []string{"daily-20260111T0800Z.json"}},                                  // an old slot created again
	} {
		if diff := cmp.Diff(tt.want, reportjob.Outdated(files, "daily", report.JSON, tt.keep, tt.spare)); diff != "" {
			t.Errorf("keep %d: (-want +got)\n%s", tt.keep, diff)
		}
	}
}

func FuzzParseSpec(f *testing.F) {
	f.Add(encoded(f, aSpec()))
	f.Add(`{}`)
	f.Add(`{"namespace":"a","name":"b","schedule":"@daily","timeZone":"Etc/UTC","compareWith":"None","keep":1}`)
	f.Fuzz(func(t *testing.T, content string) {
		s, err := reportjob.ParseSpec(content, noon)
		if err != nil {
			return
		}
		window, err := s.Covers(noon)
		if err != nil {
			return // rare slots need a window
		}
		if _, err := report.ParseRequest(s.Request(window), 1, noon); err != nil {
			t.Fatalf("the API would refuse it: %v", err)
		}
		if _, err := reportjob.ParseSpec(encoded(t, s), noon); err != nil {
			t.Fatalf("it is refused when written again: %v", err)
		}
	})
}
