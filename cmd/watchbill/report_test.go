package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

// aReport returns a report of an hour with 1000 requests, of which failed failed. The objective is an error rate below
// 1 %.
func aReport(t *testing.T, failed int64) report.Document {
	t.Helper()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	request, err := report.ParseRequest(report.Input{
		Name: "hourly", Sections: []string{"summary"}, CompareWith: report.CompareNone,
		Objectives: []objective.Objective{{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}}},
	}, 1, now)
	if err != nil {
		t.Fatal(err)
	}
	facts := report.Facts{Window: request.Window, CoveredSeconds: 3600}
	if failed >= 0 {
		facts.Endpoints = []report.EndpointFacts{{
			Method: "GET", Route: "/api/health", ByStatus: map[int]int64{200: 1000 - failed, 503: failed},
		}}
	}
	doc, err := report.Compute(request, facts, nil, now, "0197a1b2-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func reportAPI(t *testing.T, doc report.Document) *api {
	t.Helper()
	return newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": jsonAnswer(http.StatusCreated, doc)})
}

func decodeReport(t *testing.T, content string) report.Document {
	t.Helper()
	var doc report.Document
	if err := json.Unmarshal([]byte(content), &doc); err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return doc
}

func TestReportExitStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		failed int64 // of 1000; negative if there are no requests
		args   []string
		code   int
		stderr string
	}{
		{"met", 0, nil, 0, ""},
		{"no data", -1, nil, 0, ""},
		{"missed", 100, nil, exitMissed, "watchbill: verdict Fail: missed errors\n"},
		{"missed, and never mind", 100, []string{"--exit-zero"}, 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := aReport(t, test.failed)
			got := reportAPI(t, want).run(t.Context(), append([]string{"report", "--format", "json"}, test.args...)...)
			if got.code != test.code || got.err != test.stderr {
				t.Errorf("want exit %d and %q, got %d and %q", test.code, test.stderr, got.code, got.err)
			}
			if diff := cmp.Diff(want, decodeReport(t, got.out)); diff != "" {
				t.Errorf("want what the server said, got (+)\n%s", diff)
			}
		})
	}
}

func TestReportRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, want string }{
		{"", `{"hours":24}`},
		{"--hours 12 --name nightly --sections errors,summary", `{"name":"nightly","hours":12,"sections":["errors","summary"]}`},
		{
			"--from 2026-01-15T09:00:00+01:00 --to 2026-01-15T10:00:00Z",
			`{"from":"2026-01-15T09:00:00+01:00","to":"2026-01-15T10:00:00Z"}`,
		},
	} {
		api := reportAPI(t, aReport(t, 0))
		api.must(t, append([]string{"report"}, strings.Fields(test.args)...)...)
		want := []request{{"POST /api/reports", "Bearer the-admin-token", "", test.want}}
		if diff := cmp.Diff(want, api.requests(), cmp.AllowUnexported(request{})); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.args, diff)
		}
	}
}

func TestReportFormats(t *testing.T) {
	t.Parallel()
	doc := aReport(t, 100)
	api := reportAPI(t, doc)
	var text strings.Builder
	if err := report.Render(&text, doc, report.Text, report.RenderOptions{}); err != nil {
		t.Fatal(err)
	}
	api.run(t.Context(), "report", "--exit-zero").check(t, 0, text.String(), "") // a pipe gets text too
	for _, format := range report.Formats() {
		var want strings.Builder
		if err := report.Render(&want, doc, format, report.RenderOptions{}); err != nil {
			t.Fatal(err)
		}
		api.run(t.Context(), "report", "--format", string(format), "--exit-zero").check(t, 0, want.String(), "")
	}
}

func TestReportFile(t *testing.T) {
	t.Parallel()
	api := reportAPI(t, aReport(t, 100))
	dir := t.TempDir()
	for name, begin := range map[string]string{
		"daily.json": "{", "daily.md": "# Report", "daily.markdown": "# Report", "daily.CSV": "section,", "daily.txt": "Report", "daily": "Report",
		"daily.html": "<!doctype html>", "daily.HTM": "<!doctype html>",
	} {
		path := filepath.Join(dir, "reports", "new", name)
		api.run(t.Context(), "report", "--output", path).
			check(t, exitMissed, "", "watchbill: wrote "+path+", verdict Fail: missed errors\n")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(content), begin) || strings.Contains(string(content), "\x1b") {
			t.Errorf("%s: want it to begin with %q, got\n%s", name, begin, content)
		}
	}
	asked := len(api.requests())
	api.run(t.Context(), "report", "--output", filepath.Join(dir, "reports", "new", "daily.pdf")).check(t, exitUsage, "",
		"watchbill: --output: no report format has the extension \".pdf\"; use .json, .html, .md, .csv or .txt, or set --format\n")
	if len(api.requests()) != asked {
		t.Error("a report that cannot be written was made")
	}
	wantEntries(t, filepath.Join(dir, "reports", "new"), "daily", "daily.CSV", "daily.HTM", "daily.html", "daily.json", "daily.markdown", "daily.md", "daily.txt")

	t.Run("is not begun where it cannot be written", func(t *testing.T) {
		before := len(api.requests())
		api.run(t.Context(), "report", "--output", dir).check(t, exitFailed, "", "watchbill: "+dir+" is a folder\n")
		if after := len(api.requests()); after != before {
			t.Error("the server was asked for a report")
		}
	})
}

func TestReportFileIsKeptWhenReportFails(t *testing.T) {
	t.Parallel()
	api := newAPI(t, map[string]http.HandlerFunc{
		"POST /api/reports": problem(http.StatusServiceUnavailable, `{"code":"unavailable","detail":"the database is unavailable"}`),
	})
	dir := t.TempDir()
	path := filepath.Join(dir, "daily.json")
	if err := os.WriteFile(path, []byte("yesterday's"), 0o600); err != nil {
		t.Fatal(err)
	}
	api.run(t.Context(), "report", "--output", path).check(t, exitFailed, "", "watchbill: 503 unavailable: the database is unavailable\n")
	if content, _ := os.ReadFile(path); string(content) != "yesterday's" {
		t.Errorf("want the old file, got %q", content)
	}
	wantEntries(t, dir, "daily.json")
}

func TestReportInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	api := newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": func(_ http.ResponseWriter, r *http.Request) {
		interrupt()
		<-r.Context().Done()
	}})
	dir := t.TempDir()
	api.run(ctx, "report", "--output", filepath.Join(dir, "daily.json")).check(t, exitInterrupted, "", "")
	wantEntries(t, dir)
}

func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", dir, diff)
	}
}

func TestReportWithLogs(t *testing.T) {
	t.Parallel()
	const (
		ok     = `{"ts":"2026-01-15T09:10:00Z","level":"info","msg":"request","method":"GET","route":"/api/health","status":200,"duration_ms":1}` + "\n"
		before = `{"ts":"2026-01-15T08:59:59Z","level":"info","msg":"request","method":"GET","route":"/api/health","status":200,"duration_ms":1}` + "\n"
		slow   = `{"ts":"2026-01-15T09:20:00Z","level":"warn","msg":"query","query":"Slow","duration_ms":180,"slow":true}` + "\n"
	)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"master-backend.log": ok + ok + "nonsense\n", "master-backend.log.1": before + ok, "database-queries.log": slow,
		"other.log": ok, "master-backend.log.gz.tmp": ok, "master-backend.log.4.gz": "\x1f\x8bbroken",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	packed, err := os.Create(filepath.Join(dir, "master-backend.log.2.gz"))
	if err != nil {
		t.Fatal(err)
	}
	zip := gzip.NewWriter(packed)
	if _, err := zip.Write([]byte(ok)); err != nil {
		t.Fatal(err)
	}
	if zip.Close() != nil || packed.Close() != nil || os.Mkdir(filepath.Join(dir, "master-backend.log.3"), 0o700) != nil {
		t.Fatal("cannot prepare the folder")
	}

	api := reportAPI(t, aReport(t, 0))
	got := api.run(t.Context(), "report", "--format", "json", "--log-dir", dir)
	wantErr := "watchbill: " + dir + "/master-backend.log.3 is not a regular file\n" +
		"watchbill: " + dir + "/master-backend.log.4.gz: reading a log file: unexpected EOF\n"
	if got.code != 0 || got.err != wantErr {
		t.Errorf("want exit 0 and\n%sgot %d and\n%s", wantErr, got.code, got.err)
	}
	logs := decodeReport(t, got.out).Sections.Logs
	if logs == nil {
		t.Fatal("want a section of logs, got none")
	}
	type counts struct{ files, cut, lines, unreadable, outside, requests, slow int64 }
	want := counts{files: 5, cut: 1, lines: 7, unreadable: 1, outside: 1, requests: 4, slow: 1}
	if got := (counts{
		logs.Files, logs.FilesCutShort, logs.Lines, logs.UnreadableLines, logs.OutsideWindow, logs.Requests.Requests, logs.Queries.Slow,
	}); got != want {
		t.Errorf("want %+v, got %+v", want, got)
	}

	t.Run("none there", func(t *testing.T) {
		none := t.TempDir()
		got := api.run(t.Context(), "report", "--format", "json", "--log-dir", none)
		if want := "watchbill: no log files in " + none + "\n"; got.code != 0 || got.err != want {
			t.Errorf("want exit 0 and %q, got %d and %q", want, got.code, got.err)
		}
	})
}

func TestReportRejectsUnexpectedResponse(t *testing.T) {
	t.Parallel()
	doc := aReport(t, 0)
	doc.Verdict = "Maybe"
	noWindow := aReport(t, 0)
	noWindow.Window = report.Coverage{}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{"another verdict", jsonAnswer(201, doc), `the response is not a Watchbill report; check --server: its verdict is "Maybe"`},
		{"no window", jsonAnswer(201, noWindow), "the response is not a Watchbill report; check --server: it has no id or window"},
		{"another JSON", jsonAnswer(200, map[string]int{"id": 7}), "the response is not a Watchbill server's; check --server: json: cannot unmarshal number into Go struct field Document.id of type string"},
	} {
		api := newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": test.answer})
		api.run(t.Context(), "report").check(t, exitFailed, "", "watchbill: "+test.want+"\n")
	}
}
