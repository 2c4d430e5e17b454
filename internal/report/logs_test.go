package report_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/report"
)

// sampleLog is lines of both logs as written, and some invalid ones.
const sampleLog = `{"ts":"2026-08-20T10:59:59.999999999Z","level":"info","msg":"request","method":"GET","route":"/api/health","status":200,"duration_ms":1.5}
{"ts":"2026-08-20T11:00:00Z","level":"info","msg":"request","method":"GET","route":"/api/deployments/pending/{agent_id}","status":304,"duration_ms":0.25,"bytes_in":0,"bytes_out":0,"request_id":"r1","agent_id":"a1","sampled":100}
{"ts":"2026-08-20T13:00:01.123456+02:00","level":"info","msg":"request","method":"GET","route":"/api/deployments/pending/{agent_id}","status":200,"duration_ms":2,"bytes_out":512,"request_id":"r2"}
{"ts":"2026-08-20T11:30:00Z","level":"error","msg":"request","method":"POST","route":"/api/deployments","status":500,"duration_ms":40,"request_id":"r3","error":"creating a deployment: …"}
{"ts":"2026-08-20T11:30:00Z","level":"warn","msg":"request","method":"POST","route":"/api/deployments","status":409,"duration_ms":3}

{"ts":"2026-08-20T11:31:00Z","level":"info","msg":"listening","status":"ok","duration_ms":"none"}
{"ts":"2026-08-20T11:31:01Z","level":"warn","msg":"query","query":"PurgeReports","duration_ms":180.5,"slow":true}
{"ts":"2026-08-20T11:31:02Z","level":"info","msg":"query","query":"ClaimDeployment","duration_ms":1.25}
{"ts":"2026-08-20T11:31:03Z","level":"error","msg":"query","query":"ClaimDeployment","duration_ms":9,"error":"deadlock detected","sqlstate":"40P01"}
{"ts":"2026-08-20T11:31:04Z","level":"error","msg":"query","query":"ClaimDeployment","duration_ms":9,"error":"connection reset"}
Traceback (most recent call last):
{"ts":"2026-08-20T11:32:00Z","level":"info","msg":"request","method":"GET","rou
{"ts":"2026-08-20T12:00:00Z","level":"info","msg":"request","method":"GET","route":"/api/health","status":200,"duration_ms":1}
`

// analysed returns an analyser's result for files.
func analysed(t *testing.T, w report.Window, files ...string) *report.Logs {
	t.Helper()
	a := report.NewAnalyser(w)
	for _, file := range files {
		if err := a.Read(strings.NewReader(file)); err != nil {
			t.Fatal(err)
		}
	}
	return a.Logs()
}

func TestAnalyser(t *testing.T) {
	got := analysed(t, lastHour, sampleLog)
	type figures struct {
		Files, Lines, Unreadable, Outside, Other, Requests int64
		First, Last                                        time.Time
		Levels, BySQLState                                 map[string]int64
		ByStatus, Errors                                   map[int]int64
		Executed, QueryErrors, Slow                        int64
	}
	want := figures{
		Files: 1, Lines: 13, Unreadable: 2, Outside: 2, Other: 1, Requests: 103,
		First: noon.Add(-time.Hour), Last: time.Date(2026, 8, 20, 11, 31, 4, 0, time.UTC),
		Levels:     map[string]int64{"error": 3, "warn": 2},
		ByStatus:   map[int]int64{200: 1, 304: 100, 409: 1, 500: 1},
		Errors:     map[int]int64{409: 1, 500: 1},
		BySQLState: map[string]int64{"40P01": 1, "unknown": 1},
		Executed:   4, QueryErrors: 2, Slow: 1,
	}
	if diff := cmp.Diff(want, figures{
		Files: got.Files, Lines: got.Lines, Unreadable: got.UnreadableLines, Outside: got.OutsideWindow, Other: got.OtherLines,
		Requests: got.Requests.Requests, First: *got.First, Last: *got.Last, Levels: got.Levels,
		ByStatus: got.ByStatus, Errors: got.Requests.ErrorsByStatus, BySQLState: got.Queries.BySQLState,
		Executed: got.Queries.Executed, QueryErrors: got.Queries.Errors, Slow: got.Queries.Slow,
	}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	var routes []string
	for _, r := range got.Routes {
		routes = append(routes, fmt.Sprintf("%s %s %d %v", r.Method, r.Route, r.Requests, *r.Latency.Max))
	}
	if want := []string{"POST /api/deployments 2 40", "GET /api/deployments/pending/{agent_id} 101 2"}; !cmp.Equal(routes, want) {
		t.Errorf("got routes %q, want %q", routes, want)
	}
	if p50 := *got.Routes[1].Latency.P50; p50 < 0.2475 || p50 > 0.2525 {
		t.Errorf("got p50 %v ms of polls, want 0.25 ± 1 %%: a sampled line counts as often as it says", p50)
	}
	var queries []string
	for _, q := range got.Queries.ByName {
		queries = append(queries, fmt.Sprintf("%s %d %d %d", q.Name, q.Executed, q.Errors, q.Slow))
	}
	if want := []string{"PurgeReports 1 0 1", "ClaimDeployment 3 2 0"}; !cmp.Equal(queries, want) {
		t.Errorf("got queries %q, want %q", queries, want)
	}
}

func TestAnalyserLines(t *testing.T) {
	request := `{"ts":"2026-08-20T11:30:00Z","msg":"request","method":"GET","route":"/a","status":200,"duration_ms":1`
	query := `{"ts":"2026-08-20T11:30:00Z","msg":"query","query":"q","duration_ms":1`
	type counts struct{ Lines, Unreadable, Other, Requests, Queries int64 }
	unreadable, one, ran := counts{Lines: 1, Unreadable: 1}, counts{Lines: 1, Requests: 1}, counts{Lines: 1, Queries: 1}
	tests := []struct {
		name, log string
		want      counts
	}{
		{"no lines", "", counts{}},
		{"blank lines", "\n \r\n\t\n", counts{}},
		{"a request", request + "}\n", one},
		{"without a line break", request + "}", one},
		{"with Windows' line break", request + "}\r\n", one},
		{"sampled", request + `,"sampled":1000000}`, counts{Lines: 1, Requests: 1_000_000}},
		{"sampled 0 times", request + `,"sampled":0}`, unreadable},
		{"sampled negative", request + `,"sampled":-5}`, unreadable},
		{"sampled too often", request + `,"sampled":1000001}`, unreadable},
		{"sampled in part", request + `,"sampled":1.5}`, unreadable},
		{"unknown fields", request + `,"x":{"y":[1]}}`, one},
		{"cut off", request, unreadable},
		{"two on a line", request + "}" + request + "}", unreadable},
		{"not an object", "[1]\nnull\n3\n\"request\"\n", counts{Lines: 4, Unreadable: 4}},
		{"binary", "\x00\xff\xfe\n", unreadable},
		{"status of another type", strings.Replace(request, "200", `"200"`, 1) + "}", unreadable},
		{"status too low", strings.Replace(request, "200", "99", 1) + "}", unreadable},
		{"status too high", strings.Replace(request, "200", "600", 1) + "}", unreadable},
		{"status negative", strings.Replace(request, "200", "-200", 1) + "}", unreadable},
		{"no status", strings.Replace(request, "status", "x", 1) + "}", unreadable},
		{"no route", strings.Replace(request, "/a", "", 1) + "}", unreadable},
		{"a long route", strings.Replace(request, "/a", strings.Repeat("/a", 200), 1) + "}", unreadable},
		{"no method", strings.Replace(request, "GET", "", 1) + "}", unreadable},
		{"negative duration", strings.Replace(request, `_ms":1`, `_ms":-1`, 1) + "}", unreadable},
		{"endless duration", strings.Replace(request, `_ms":1`, `_ms":1e999`, 1) + "}", unreadable},
		{"long duration", strings.Replace(request, `_ms":1`, `_ms":1e300`, 1) + "}", one},
		{"no time", strings.Replace(request, `"ts"`, `"x"`, 1) + "}", unreadable},
		{"time as a number", strings.Replace(request, `"2026-08-20T11:30:00Z"`, "1787225400", 1) + "}", unreadable},
		{"a query", query + "}", ran},
		{"a query without a name", strings.Replace(query, `"q"`, `""`, 1) + "}", unreadable},
		{"another message", `{"ts":"2026-08-20T11:30:00Z","msg":"x","status":[],"method":1}`, counts{Lines: 1, Other: 1}},
		{"no message", `{"ts":"2026-08-20T11:30:00Z"}`, counts{Lines: 1, Other: 1}},
		{"too long", `{"ts":"` + strings.Repeat("x", 1<<20) + "\"}\n" + request + "}\n", counts{Lines: 2, Unreadable: 1, Requests: 1}},
		{"too long, at the end", request + "}\n" + strings.Repeat("x", 64<<10), counts{Lines: 2, Unreadable: 1, Requests: 1}},
		{"deep", strings.Repeat("[", 60_000), unreadable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := analysed(t, lastHour, tt.log)
			if diff := cmp.Diff(tt.want, counts{
				got.Lines, got.UnreadableLines, got.OtherLines, got.Requests.Requests, got.Queries.Executed,
			}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func packed(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompressedAndSlowFilesAgree(t *testing.T) {
	want := analysed(t, lastHour, sampleLog)
	for name, r := range map[string]io.Reader{
		"packed":             bytes.NewReader(packed(t, sampleLog)),
		"packed in parts":    bytes.NewReader(append(packed(t, sampleLog[:500]), packed(t, sampleLog[500:])...)),
		"a byte at a time":   iotest.OneByteReader(strings.NewReader(sampleLog)),
		"packed, in pieces":  iotest.HalfReader(bytes.NewReader(packed(t, sampleLog))),
		"an end with a read": iotest.DataErrReader(strings.NewReader(sampleLog)),
	} {
		a := report.NewAnalyser(lastHour)
		if err := a.Read(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, a.Logs()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPartiallyReadableFiles(t *testing.T) {
	whole := packed(t, strings.Repeat(sampleLog, 1000))
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-6] ^= 0xff // in the checksum
	for name, r := range map[string]io.Reader{
		"packed, cut off":    bytes.NewReader(whole[:len(whole)/2]),
		"packed, damaged":    bytes.NewReader(damaged),
		"not what it claims": strings.NewReader("\x1f\x8bx"),
		"disk error":         io.MultiReader(strings.NewReader(sampleLog), iotest.ErrReader(errDisk)),
	} {
		a := report.NewAnalyser(report.Window{})
		err := a.Read(r)
		if err == nil || strings.Contains(name, "disk") && !errors.Is(err, errDisk) {
			t.Errorf("%s: got error %v", name, err)
		}
		got := a.Logs()
		if got.Files != 1 || got.FilesCutShort != 1 {
			t.Errorf("%s: got %d files, %d cut short, want 1, 1", name, got.Files, got.FilesCutShort)
		}
		if name != "not what it claims" && got.Requests.Requests == 0 {
			t.Errorf("%s: what came before does not count", name)
		}
	}
}

func TestAnalyserIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `{"ts":"2026-08-20T11:30:00Z","msg":"request","method":"GET","route":"/%d","status":200,"duration_ms":1}`+"\n", i)
		fmt.Fprintf(&b, `{"ts":"2026-08-20T11:30:00Z","msg":"query","query":"q%d","duration_ms":1,"error":"x","sqlstate":"S%d"}`+"\n", i, i)
	}
	got := analysed(t, report.Window{}, b.String())
	if len(got.Routes) != report.MaxRoutes+1 || len(got.Queries.ByName) != report.MaxNames+1 || len(got.Queries.BySQLState) != report.MaxNames+1 {
		t.Errorf("got %d routes, %d queries, %d SQLSTATEs", len(got.Routes), len(got.Queries.ByName), len(got.Queries.BySQLState))
	}
	if got.Requests.Requests != 1000 || got.Queries.Executed != 1000 || got.Queries.BySQLState[report.Other] != 1000-report.MaxNames {
		t.Errorf("got %d requests, %d queries, %d other SQLSTATEs", got.Requests.Requests, got.Queries.Executed, got.Queries.BySQLState[report.Other])
	}
}

func TestEmptyLogs(t *testing.T) {
	got := asJSON(t, report.NewAnalyser(lastHour).Logs()).(object)
	for key, value := range got {
		if value == nil && key != "first" && key != "last" {
			t.Errorf("%s is null", key)
		}
	}
}

func TestLogsAreACopy(t *testing.T) {
	a := report.NewAnalyser(report.Window{})
	if err := a.Read(strings.NewReader(sampleLog)); err != nil {
		t.Fatal(err)
	}
	first := a.Logs()
	before, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Read(strings.NewReader(sampleLog)); err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("reading more changed what Logs had returned")
	}
	if got, want := a.Logs().Requests.Requests, 2*first.Requests.Requests; got != want {
		t.Errorf("got %d requests of two files, want %d", got, want)
	}
}

func TestIsLogFile(t *testing.T) {
	for name, want := range map[string]bool{
		"master-backend.log":                               true,
		"master-backend.log.1":                             true,
		"master-backend.log.12.gz":                         true,
		"master-backend-2026-08-20T11-30-00.123.log":       true,
		"master-backend-2026-08-20T11-30-00.123.log.gz":    true,
		"database-queries.log":                             true,
		"database-queries-2026-08-20T11-30-00.123.log":     true,
		"master-backend.log.gz.exe":                        false,
		"master-backend.log.tmp":                           false,
		"master-backend-2026.log":                          false,
		"other.log":                                        false,
		"../master-backend.log":                            false,
		"xmaster-backend.log":                              false,
		"master-backend.log\n":                             false,
		"master-backend.log.":                              false,
		"master-backend-2026-08-20T11-30-00.123.log.1.bak": false,
	} {
		if got := report.IsLogFile(name); got != want {
			t.Errorf("IsLogFile(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzAnalyser(f *testing.F) {
	f.Add([]byte(sampleLog))
	f.Add(packed(f, sampleLog))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, log []byte) {
		a := report.NewAnalyser(lastHour)
		err := a.Read(bytes.NewReader(log))
		got := a.Logs()
		if (err != nil) != (got.FilesCutShort == 1) {
			t.Fatalf("error %v, %d files cut short", err, got.FilesCutShort)
		}
		if got.UnreadableLines+got.OutsideWindow+got.OtherLines > got.Lines {
			t.Fatalf("%d unreadable + %d outside + %d other of %d lines", got.UnreadableLines, got.OutsideWindow, got.OtherLines, got.Lines)
		}
		doc := report.Document{Sections: report.Sections{Logs: got}}
		for _, format := range report.Formats() {
			if err := report.Render(io.Discard, doc, format, report.RenderOptions{}); err != nil {
				t.Fatalf("Render as %s: %v", format, err)
			}
		}
	})
}

func BenchmarkAnalyser(b *testing.B) {
	log := strings.Repeat(sampleLog, 1000)
	b.SetBytes(int64(len(log)))
	b.ReportAllocs()
	for b.Loop() {
		if err := report.NewAnalyser(lastHour).Read(strings.NewReader(log)); err != nil {
			b.Fatal(err)
		}
	}
}
