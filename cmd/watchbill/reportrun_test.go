package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/delivery"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// aPod is the environment of `report run`.
type aPod struct {
	shell
	t      *testing.T
	folder string
	spec   reportjob.Spec
}

// newPod returns a Pod for the slot 10:00 of a report on the hour before, as aReport returns.
func newPod(t *testing.T, api *api, outputs ...reportjob.Output) *aPod {
	t.Helper()
	p := &aPod{shell: api.shell, t: t, folder: t.TempDir(), spec: reportjob.Spec{
		Namespace: "fleet", Name: "hourly", Schedule: "0 * * * *", TimeZone: "Etc/UTC", CompareWith: report.CompareNone, Keep: 7,
		Sections:   []string{"summary"},
		Objectives: []objective.Objective{{Name: "errors", ErrorRate: &objective.ErrorRate{Max: "0.01"}}},
		Outputs:    outputs,
	}}
	slot := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	p.shell = p.with("WATCHBILL_JOB_NAME", schedule.JobName("hourly-report", slot),
		"WATCHBILL_TOKEN_FILE", filepath.Join(p.folder, "token"), "WATCHBILL_TERMINATION_LOG", filepath.Join(p.folder, "termination-log"))
	p.writeToken("the-first-token")
	if err := os.WriteFile(filepath.Join(p.folder, "termination-log"), bytes.Repeat([]byte("old "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *aPod) writeToken(token string) {
	if err := os.WriteFile(filepath.Join(p.folder, "token"), []byte(token+"\n"), 0o600); err != nil {
		p.t.Error(err)
	}
}

// run runs the command as in the Pod.
func (p *aPod) run(ctx context.Context) outcome {
	spec, err := json.Marshal(p.spec)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.with("WATCHBILL_SPEC", string(spec)).run(ctx, "report", "run")
}

// patient runs the command with changed time limits.
func (p *aPod) patient(ctx context.Context, change func(*reportRun)) outcome {
	spec, err := json.Marshal(p.spec)
	if err != nil {
		p.t.Fatal(err)
	}
	o := reportRun{
		connection: connection{server: p.env["WATCHBILL_SERVER"]}, spec: string(spec), jobName: p.env["WATCHBILL_JOB_NAME"],
		tokenFile: p.env["WATCHBILL_TOKEN_FILE"], terminationLog: p.env["WATCHBILL_TERMINATION_LOG"],
		forReport: 30 * time.Second, responseTimeout: 10 * time.Second, forAccess: 10 * time.Second, forDelivery: 10 * time.Second, pause: time.Millisecond,
		deliver: delivery.Options{Now: time.Now, Random: func() float64 { return 0.5 }, Pause: time.Millisecond},
	}
	change(&o)
	var out, stderr bytes.Buffer
	code := exitCode(o.run(ctx, newConsole(stdio{strings.NewReader(""), &out, &stderr}, p.lookup)), &stderr)
	return outcome{code, out.String(), stderr.String()}
}

// result returns the result that the command left.
func (p *aPod) result() reportjob.Result {
	p.t.Helper()
	message, err := os.ReadFile(filepath.Join(p.folder, "termination-log"))
	if err != nil {
		p.t.Fatal(err)
	}
	result, err := reportjob.DecodeResult(string(message))
	if err != nil {
		p.t.Fatalf("%v in\n%s", err, message)
	}
	if age := time.Since(result.CompletedAt); age < 0 || age > time.Minute {
		p.t.Errorf("completed %s ago", age)
	}
	result.CompletedAt = time.Time{}
	return result
}

func (p *aPod) wantError(want string) {
	p.t.Helper()
	if got := p.result(); got.Error != want || got.Verdict != "" || got.ReportID != "" {
		p.t.Errorf("want no report, but %q, got %+v", want, got)
	}
}

func TestReportRun(t *testing.T) {
	t.Parallel()
	doc := aReport(t, 100)
	var posted string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posted = string(body)
	}))
	defer hook.Close()
	secrets, volume := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(secrets, "url"), []byte(hook.URL+"/s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	api := reportAPI(t, doc)
	pod := newPod(t, api,
		reportjob.Output{Format: report.HTML, File: &reportjob.File{Root: volume, Path: "hourly", Volume: "reports"}},
		reportjob.Output{Format: report.JSON, S3: &reportjob.S3{
			Bucket: "reports", Endpoint: "https://s3.example", Credentials: secrets, Secret: "s3",
		}},
		reportjob.Output{Format: report.CSV, Webhook: &reportjob.Webhook{URLFile: filepath.Join(secrets, "url"), Secret: "hook/url", Style: reportjob.Generic}},
	)
	missing := "the report's namespace has no Secret s3 with the key accessKeyID"
	pod.run(t.Context()).check(t, 0, "", "watchbill: report "+doc.ID+", of 2026-01-15T09:00:00Z to 2026-01-15T10:00:00Z: Fail: 1 of 1 objective missed\n"+
		"watchbill: pvc/reports:hourly: delivered\nwatchbill: s3://reports: not delivered: "+missing+"\nwatchbill: webhook secret hook/url: delivered\n")
	want := []request{{"POST /api/reports", "Bearer the-first-token", "", `{"name":"hourly","from":"2026-01-15T09:00:00Z","to":"2026-01-15T10:00:00Z",` +
		`"sections":["summary"],"objectives":[{"name":"errors","errorRate":{"max":"0.01"}}],"compare_with":"None","keep":7}`}}
	if diff := cmp.Diff(want, api.requests(), cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	result := reportjob.FromDocument(doc)
	result.Outputs = []reportjob.OutputOutcome{
		{Output: "pvc/reports:hourly", Delivered: true}, {Output: "s3://reports", Message: missing}, {Output: "webhook secret hook/url", Delivered: true},
	}
	if diff := cmp.Diff(result, pod.result()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantEntries(t, filepath.Join(volume, "hourly"), "hourly-20260115T1000Z.html")
	if !strings.HasPrefix(posted, "section,") {
		t.Errorf("want CSV posted, got %s", posted)
	}
}

// TestReportRunRetries uses servers that have no report yet.
func TestReportRunRetries(t *testing.T) {
	t.Parallel()
	doc := aReport(t, 0)
	made := jsonAnswer(http.StatusCreated, doc)
	unknown := problem(http.StatusUnauthorized, `{"code":"unauthorized","detail":"unknown token"}`)
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, tt := range []struct {
		name    string
		answers []http.HandlerFunc
	}{
		{"is down", []http.HandlerFunc{problem(503, `{"code":"unavailable","detail":"the database is unavailable"}`), problem(502, ""), abort, made}},
		{"is busy", []http.HandlerFunc{problem(429, `{"code":"busy","detail":"too many"}`), made}},
		{"does not know the token yet", []http.HandlerFunc{unknown, problem(403, `{"code":"forbidden","detail":"not yet"}`), made}},
		{"has a clock that is behind", []http.HandlerFunc{problem(400, `{"code":"invalid_field","field":"to","detail":"is in the future"}`), made}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": answers(tt.answers...)})
			pod := newPod(t, api)
			if got := pod.patient(t.Context(), func(*reportRun) {}); got.code != 0 {
				t.Errorf("exit %d: %s", got.code, got.err)
			}
			if n := len(api.requests()); n != len(tt.answers) {
				t.Errorf("want %d requests, got %d", len(tt.answers), n)
			}
			if diff := cmp.Diff(reportjob.FromDocument(doc), pod.result()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestReportRunRereadsItsToken replaces the token as the kubelet does, after a moment without one.
func TestReportRunRereadsItsToken(t *testing.T) {
	t.Parallel()
	var pod *aPod
	refused := problem(http.StatusUnauthorized, `{"code":"unauthorized","detail":"the token is over"}`)
	api := newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": answers(
		func(w http.ResponseWriter, r *http.Request) {
			pod.writeToken("")
			time.AfterFunc(50*time.Millisecond, func() { pod.writeToken("the-second-token") })
			refused(w, r)
		},
		jsonAnswer(http.StatusCreated, aReport(t, 0)),
	)})
	pod = newPod(t, api)
	if got := pod.patient(t.Context(), func(*reportRun) {}); got.code != 0 || !strings.Contains(got.err, "token is empty") || strings.Contains(got.err, "second") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	var tokens []string
	for _, r := range api.requests() {
		tokens = append(tokens, r.token)
	}
	if diff := cmp.Diff([]string{"Bearer the-first-token", "Bearer the-second-token"}, tokens); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReportRunWithoutReport(t *testing.T) {
	t.Parallel()
	forbidden := problem(http.StatusForbidden, `{"code":"forbidden","detail":"system:serviceaccount:fleet:watchbill-report may not create monitoringreports/run"}`)
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		change func(*reportRun)
		tries  int // 0 for as many as the time allows
		want   string
	}{
		{
			"refused", problem(400, `{"code":"invalid_field","field":"to","detail":"is in the future","errors":[{"field":"to","detail":"is in the future"},{"field":"keep","detail":"is wrong"}]}`),
			func(*reportRun) {}, 1, "400 invalid_field: to: is in the future; 400 invalid_field: keep: is wrong",
		},
		{"a defect", problem(500, `{"code":"internal","detail":"something failed"}`), func(*reportRun) {}, 1, "500 internal: something failed"},
		{
			"another server", jsonAnswer(200, map[string]string{"hello": "world"}), func(*reportRun) {}, 1,
			`the response is not a Watchbill report; check --server: its verdict is ""`,
		},
		{"forbidden", forbidden, func(o *reportRun) { o.forAccess = 0 }, 1, "403 forbidden: system:serviceaccount:fleet:watchbill-report may not create " +
			"monitoringreports/run; check the token of the Pod's ServiceAccount"},
		{
			"away for long", problem(503, `{"code":"unavailable","detail":"the database is unavailable"}`), func(o *reportRun) { o.forReport = 200 * time.Millisecond }, 0,
			"no report within 200ms: 503 unavailable: the database is unavailable",
		},
		{
			"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func(o *reportRun) { o.forReport = 100 * time.Millisecond }, 1,
			"no report within 100ms: the server does not respond",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			api := newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": tt.answer})
			pod := newPod(t, api)
			got := pod.patient(t.Context(), tt.change)
			if n := len(api.requests()); got.code != exitFailed || tt.tries > 0 && n != tt.tries || tt.tries == 0 && n < 2 {
				t.Errorf("exit %d after %d requests: %s", got.code, n, got.err)
			}
			pod.wantError(tt.want)
		})
	}
	t.Run("no token", func(t *testing.T) {
		t.Parallel()
		pod := newPod(t, newAPI(t, nil))
		file := pod.env["WATCHBILL_TOKEN_FILE"]
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if got := pod.patient(t.Context(), func(o *reportRun) { o.forAccess = 50 * time.Millisecond }); got.code != exitFailed {
			t.Errorf("exit %d: %s", got.code, got.err)
		}
		pod.wantError("the token cannot be read: open " + file + ": no such file or directory")
	})
}

func TestReportRunInterrupted(t *testing.T) {
	t.Parallel()
	t.Run("before there is a report", func(t *testing.T) {
		t.Parallel()
		ctx, interrupt := context.WithCancel(t.Context())
		pod := newPod(t, newAPI(t, map[string]http.HandlerFunc{"POST /api/reports": func(_ http.ResponseWriter, r *http.Request) {
			interrupt()
			<-r.Context().Done()
		}}))
		pod.run(ctx).check(t, exitFailed, "", "watchbill: stopped before there was a report\n")
		pod.wantError("stopped before there was a report")
	})
	t.Run("before it is delivered", func(t *testing.T) {
		t.Parallel()
		ctx, interrupt := context.WithCancel(t.Context())
		hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			interrupt()
			<-r.Context().Done()
		}))
		defer hook.Close()
		urls := t.TempDir()
		if err := os.WriteFile(filepath.Join(urls, "url"), []byte(hook.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		pod := newPod(t, reportAPI(t, aReport(t, 0)),
			reportjob.Output{Format: report.JSON, Webhook: &reportjob.Webhook{URLFile: filepath.Join(urls, "url"), Secret: "hook/url", Style: reportjob.Generic}})
		if got := pod.run(ctx); got.code != 0 {
			t.Errorf("exit %d: %s", got.code, got.err)
		}
		got := pod.result()
		if got.Verdict != report.Pass || len(got.Outputs) != 1 || got.Outputs[0].Delivered || !strings.HasPrefix(got.Outputs[0].Message, "ended before it was delivered") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestReportRunOfBadSpec(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		spec string
		env  []string
		want []string
	}{
		{"", []string{"WATCHBILL_TOKEN_FILE", ""}, []string{"--spec: the spec is empty", "--token-file: is required"}},
		{"{", nil, []string{"--spec: the spec cannot be read: unexpected EOF"}},
		{`{"namespace":"a","name":"b","schedule":"0 0 31 2 *","timeZone":"Mars","compareWith":"None","keep":0}`, []string{"WATCHBILL_SERVER", "localhost"}, []string{
			`--spec: timeZone: must be a name of the IANA's database, such as Europe/Berlin, not "Mars"`,
			`--spec: schedule: "0 0 31 2 *" never comes due`, "--spec: keep: must be a whole number from 1 to 1000, not 0",
			`--server: must be a URL such as https://watchbill.example, not "localhost"`,
		}},
		{
			`{"namespace":"a","name":"b","schedule":"0 0 29 2 *","timeZone":"Etc/UTC","compareWith":"None","keep":1}`, nil,
			[]string{"the previous slot is more than 8784 hours ago, the longest window of a report; set window"},
		},
	} {
		pod := newPod(t, newAPI(t, nil))
		var stderr strings.Builder
		for _, line := range tt.want {
			stderr.WriteString("watchbill: " + line + "\n")
		}
		pod.with(append([]string{"WATCHBILL_SPEC", tt.spec}, tt.env...)...).run(t.Context(), "report", "run").check(t, exitUsage, "", stderr.String())
		pod.wantError(strings.Join(tt.want, "; "))
	}
}

// TestReportRunWithoutTerminationLog checks that a missing termination log is reported and does not fail the command.
func TestReportRunWithoutTerminationLog(t *testing.T) {
	t.Parallel()
	pod := newPod(t, reportAPI(t, aReport(t, 0)))
	pod.shell = pod.with("WATCHBILL_TERMINATION_LOG", pod.folder)
	got := pod.run(t.Context())
	if want := "cannot write the result for the controller: open " + pod.folder + ": is a directory\n"; got.code != 0 || !strings.HasSuffix(got.err, want) {
		t.Errorf("want exit 0 and %q, got %d and %q", want, got.code, got.err)
	}
}

// TestReportRunIsHidden checks that the command is not listed in the help but has its own.
func TestReportRunIsHidden(t *testing.T) {
	t.Parallel()
	if got := (shell{}).must(t, "report", "--help"); strings.Contains(got, "Available Commands") {
		t.Errorf("got\n%s", got)
	}
	if got := (shell{}).must(t, "report", "run", "--help"); !strings.Contains(got, "--termination-log") {
		t.Errorf("got\n%s", got)
	}
}

// TestReportRunAgainstReplica uses the real API as a person would: as an administrator, for the current time.
func TestReportRunAgainstReplica(t *testing.T) {
	t.Parallel()
	sh, stop := startReplica(t, t.TempDir())
	defer stop()
	volume := t.TempDir()
	pod := newPod(t, &api{shell: sh}, reportjob.Output{Format: report.HTML, File: &reportjob.File{Root: volume, Volume: "reports"}})
	pod.shell = pod.with("WATCHBILL_JOB_NAME", "by-hand")
	pod.writeToken("the-admin-token")
	pod.spec.Objectives = nil
	pod.spec.Window = "24h"
	before := time.Now().UTC().Truncate(time.Minute)
	if got := pod.run(t.Context()); got.code != 0 {
		t.Fatalf("exit %d: %s", got.code, got.err)
	}
	got := pod.result()
	if got.Verdict != report.NoData && got.Verdict != report.Pass || len(got.Objectives) != len(objective.Defaults()) || len(got.Outputs) != 1 || !got.Outputs[0].Delivered {
		t.Errorf("got %+v", got)
	}
	if w := got.Window; w.To.Sub(w.From) != 24*time.Hour || w.To.Before(before) || w.To.After(before.Add(time.Minute)) {
		t.Errorf("want the 24 hours to %v, got %+v", before, w)
	}
	entries, err := os.ReadDir(volume)
	if err != nil || len(entries) != 1 {
		t.Errorf("want one file, got %v %v", entries, err)
	}
}
