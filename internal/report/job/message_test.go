package job_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

func numbered(i int, met *bool) reportjob.Objective {
	return reportjob.Objective{Name: fmt.Sprintf("objective-%d", i), Target: "< 200 ms", Actual: "3.1 ms", Met: met, BudgetRemaining: "62 %"}
}

// aResult returns a result with a number of objectives (every fourth missed, every fourth without data) and eight
// outputs with messages of a number of bytes.
func aResult(objectives, message int) reportjob.Result {
	r := reportjob.Result{
		ReportID: "0197a1b2-0000-7000-8000-000000000001", Window: &report.Window{From: noon.Add(-time.Hour), To: noon},
		CompletedAt: noon, Verdict: report.Fail, Summary: "Fail: 1 of 8 objectives missed",
	}
	for i := range objectives {
		met := new(i%4 != 1)
		if i%4 == 3 {
			met = nil
		}
		r.Objectives = append(r.Objectives, numbered(i, met))
	}
	for i := range reportjob.MaxOutputs {
		r.Outputs = append(r.Outputs, reportjob.OutputOutcome{Output: fmt.Sprintf("s3://bucket/%d", i), Message: strings.Repeat("ü", message/2)})
	}
	return r
}

func decoded(t testing.TB, message []byte) reportjob.Result {
	t.Helper()
	r, err := reportjob.DecodeResult(string(message))
	if err != nil {
		t.Fatalf("%v in\n%s", err, message)
	}
	return r
}

func TestEncodeKeepsEverything(t *testing.T) {
	t.Parallel()
	want := aResult(8, 40)
	if diff := cmp.Diff(want, decoded(t, want.Encode())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEncodeDropsLeastImportantFirst(t *testing.T) {
	t.Parallel()
	t.Run("first what messages say", func(t *testing.T) {
		t.Parallel()
		given := aResult(8, 2000)
		got := decoded(t, given.Encode())
		for _, output := range got.Outputs {
			if n := len(output.Message); n > 400 || n < 100 || !strings.HasSuffix(output.Message, "ü…") {
				t.Errorf("want a beginning and …, got %q", output.Message)
			}
		}
		if diff := cmp.Diff(given.Objectives, got.Objectives); diff != "" || got.ObjectivesLeftOut != 0 {
			t.Errorf("want all objectives, (-want +got)\n%s", diff)
		}
		if given.Outputs[0].Message != strings.Repeat("ü", 1000) {
			t.Error("the result itself was changed")
		}
	})
	t.Run("then objectives that are met", func(t *testing.T) {
		t.Parallel()
		given := aResult(32, 100)
		for i := range given.Objectives {
			given.Objectives[i].Target = strings.Repeat("t", 60)
		}
		got := decoded(t, given.Encode())
		count := map[string]int{}
		for _, o := range got.Objectives {
			switch {
			case o.Met == nil:
				count["without data"]++
			case *o.Met:
				count["met"]++
			default:
				count["missed"]++
			}
		}
		if count["missed"] != 8 || count["without data"] != 8 || count["met"] == 0 || count["met"] == 16 {
			t.Errorf("want all of the missed and unknown and some that are met, got %v", count)
		}
		if got.ObjectivesLeftOut != 32-len(got.Objectives) || len(got.Outputs) != reportjob.MaxOutputs {
			t.Errorf("want the rest counted and all outputs, got %d of %d objectives left out, %d outputs", got.ObjectivesLeftOut, 32, len(got.Outputs))
		}
	})
	t.Run("missed objectives and outputs last", func(t *testing.T) {
		t.Parallel()
		given := aResult(32, 100)
		for i := range given.Objectives {
			given.Objectives[i].Actual = strings.Repeat("a", 4000)
		}
		got := decoded(t, given.Encode())
		if len(got.Objectives) != 0 || got.ObjectivesLeftOut != 32 || len(got.Outputs) != reportjob.MaxOutputs || got.Summary != given.Summary {
			t.Errorf("got %+v", got)
		}
		given.Outputs[0].Output = strings.Repeat("o", 9000)
		if got := decoded(t, given.Encode()); len(got.Outputs[0].Output) != 100 {
			t.Errorf("want the output's name shortened, got %+v", got.Outputs[0])
		}
	})
}

// TestEncodeFitsAlways uses results that no run has.
func TestEncodeFitsAlways(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"a", "\x00", "\"", "\\", "\u2028", "ü", "\xff", "<", "𝄞", "\n"}).Draw(t, "unit")
		return strings.Repeat(unit, rapid.IntRange(0, 6000).Draw(t, "length"))
	}))
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64().Draw(t, "second"), 0)
	})
	rapid.Check(t, func(t *rapid.T) {
		r := reportjob.Result{
			ReportID: text.Draw(t, "id"), CompletedAt: moment.Draw(t, "completed"), Verdict: report.Verdict(text.Draw(t, "verdict")),
			Summary: text.Draw(t, "summary"), Error: text.Draw(t, "error"), Window: &report.Window{From: moment.Draw(t, "from"), To: moment.Draw(t, "to")},
		}
		for i := range rapid.IntRange(0, 60).Draw(t, "objectives") {
			met := rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(t, "met")
			o := numbered(i, met)
			if i%5 == 0 {
				o.Name, o.Target = text.Draw(t, "name"), text.Draw(t, "target")
			}
			r.Objectives = append(r.Objectives, o)
		}
		for range rapid.IntRange(0, 20).Draw(t, "outputs") {
			r.Outputs = append(r.Outputs, reportjob.OutputOutcome{Output: text.Draw(t, "output"), Message: text.Draw(t, "message")})
		}
		message := r.Encode()
		if len(message) == 0 || len(message) > reportjob.MaxMessage || !utf8.Valid(message) || strings.ContainsAny(string(message), "\x00\n") {
			t.Fatalf("got %d bytes:\n%q", len(message), message)
		}
	})
}

// TestEncodeAndDecode uses results of runs with arbitrary texts.
func TestEncodeAndDecode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := aResult(rapid.IntRange(0, objective.MaxCount).Draw(t, "objectives"), rapid.IntRange(0, 5000).Draw(t, "message"))
		r.Summary = rapid.StringN(1, 200, 800).Draw(t, "summary")
		for i := range r.Outputs {
			r.Outputs[i].Output = rapid.StringN(1, 50, 400).Draw(t, "output")
		}
		got, err := reportjob.DecodeResult(string(r.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != r.Verdict || got.ReportID != r.ReportID || len(got.Objectives)+got.ObjectivesLeftOut != len(r.Objectives) ||
			len(got.Outputs)+got.OutputsLeftOut != len(r.Outputs) {
			t.Fatalf("got %+v", got)
		}
	})
}

func TestDecodeResult(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]reportjob.Result{
		`{"error":"no report: \u0000\u001b[31mred\u202e\nline two","fromTheFuture":{"a":[1]}}`: {Error: "no report: \ufffd\ufffd[31mred\ufffd line two"},
		`{"reportID":"x","verdict":"Pass","completedAt":"2026-01-15T12:00:00.7+00:00","objectives":[{"n":"a","t":"< 1 ms","m":true,"x":1}]}`: {
			ReportID: "x", Verdict: report.Pass, CompletedAt: noon, Objectives: []reportjob.Objective{{Name: "a", Target: "< 1 ms", Met: new(true)}},
		},
		` {"reportID":"x","verdict":"NoData","outputs":[{"o":"pvc/a","d":true}]} `: {
			ReportID: "x", Verdict: report.NoData, Outputs: []reportjob.OutputOutcome{{Output: "pvc/a", Delivered: true}},
		},
	} {
		got, err := reportjob.DecodeResult(message)
		if err != nil {
			t.Errorf("%s: %v", message, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", message, diff)
		}
	}
	good := string(aResult(1, 0).Encode())
	for message, want := range map[string]string{
		"":                                     "cannot be read",
		"null":                                 "neither",
		"{}":                                   "neither",
		"panic: runtime error":                 "cannot be read",
		good[:len(good)-1]:                     "cannot be read",
		good + good:                            "cannot be read",
		"\x00" + good:                          "cannot be read",
		strings.Repeat("[", 4096):              "cannot be read",
		good + strings.Repeat(" ", 4096):       "bytes",
		`{"verdict":"Pass"}`:                   "no report",
		`{"verdict":"Great","reportID":"x"}`:   `verdict is "Great"`,
		`{"verdict":1}`:                        "cannot be read",
		`{"error":"x","completedAt":"today"}`:  "cannot be read",
		`{"error":"x","objectivesLeftOut":-1}`: "too few",
		`{"error":"x","window":{"from":"2026-01-15T12:00:00Z","to":"2026-01-15T12:00:00Z"}}`: "window",
		`{"error":"x","objectives":[{"n":"a"},{"n":"a"}]}`:                                   "or two",
		`{"error":"x","objectives":[{"n":""}]}`:                                              "objective",
		`{"error":"x","outputs":[{},{},{},{},{},{},{},{},{}]}`:                               "too many",
	} {
		if _, err := reportjob.DecodeResult(message); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: want an error with %q, got %v", message, want, err)
		}
	}
}

func TestFromDocument(t *testing.T) {
	t.Parallel()
	window := report.Window{From: noon.Add(-time.Hour), To: noon}
	request, err := report.ParseRequest(report.Input{From: "2026-01-15T11:00:00Z", To: "2026-01-15T12:00:00Z", CompareWith: report.CompareNone, Objectives: []objective.Objective{
		{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}},
		{Name: "pool", PoolUtilization: &objective.PoolUtilization{Max: "0.8"}},
	}}, 1, noon)
	if err != nil {
		t.Fatal(err)
	}
	facts := report.Facts{Window: window, CoveredSeconds: 3600, Endpoints: []report.EndpointFacts{
		{Method: "GET", Route: "/api/health", ByStatus: map[int]int64{200: 996, 503: 4}},
	}}
	doc, err := report.Compute(request, facts, nil, noon, "the-id")
	if err != nil {
		t.Fatal(err)
	}
	want := reportjob.Result{
		ReportID: "the-id", Window: &window, Verdict: report.Pass, Summary: "Pass: 1 of 2 objectives met, 1 without data",
		Objectives: []reportjob.Objective{
			{Name: "errors", Target: "< 1 %", Actual: "0.4 %", Met: new(true), BudgetRemaining: "60 %"},
			{Name: "pool", Target: "< 80 %"},
		},
	}
	if diff := cmp.Diff(want, reportjob.FromDocument(doc)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzDecodeResult(f *testing.F) {
	f.Add(string(aResult(8, 40).Encode()))
	f.Add(`{"error":"no report"}`)
	f.Fuzz(func(t *testing.T, message string) {
		r, err := reportjob.DecodeResult(message)
		if err != nil {
			return
		}
		again, err := reportjob.DecodeResult(string(r.Encode()))
		if err != nil {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
		if again.Verdict != r.Verdict {
			t.Fatalf("want %s, got %s", r.Verdict, again.Verdict)
		}
	})
}
