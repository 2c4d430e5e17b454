package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/delivery"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// path is secret, as webhooks' paths are.
const path = "/services/T0000/B0000/XXXXXXXXXXXX?token=s3cr3t-word"

func toHook(t testing.TB, url string, format report.Format, style reportjob.Style) reportjob.Output {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"url": url + "\n"})
	return reportjob.Output{Format: format, Webhook: &reportjob.Webhook{URLFile: filepath.Join(dir, "url"), Secret: "hook/url", Style: style}}
}

// receiver receives a webhook. It sends its responses in order and repeats the last.
type receiver struct {
	url     string
	answers []http.HandlerFunc
	mu      sync.Mutex
	got     []*http.Request
	bodies  []string
}

func receive(t testing.TB, answers ...http.HandlerFunc) *receiver {
	t.Helper()
	h := &receiver{answers: answers}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		answer := h.answers[min(len(h.got), len(h.answers)-1)]
		h.got, h.bodies = append(h.got, r), append(h.bodies, string(body))
		h.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

func (h *receiver) tries() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestWebhook(t *testing.T) {
	t.Parallel()
	for _, format := range []report.Format{report.HTML, report.JSON, report.Markdown, report.CSV} {
		h := receive(t, answer(http.StatusAccepted, "thank you"))
		r := aReport(t, toHook(t, h.url+path, format, reportjob.Generic))
		if diff := cmp.Diff([]string{"webhook secret hook/url: delivered"}, deliver(t, r, options())); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
		if diff := cmp.Diff([]string{rendered(t, r, format)}, h.bodies); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		got := h.got[0]
		if got.Method != http.MethodPost || got.RequestURI != path {
			t.Errorf("got %s %s", got.Method, got.RequestURI)
		}
		for header, want := range map[string]string{
			"Content-Type": format.ContentType(), "User-Agent": "watchbill/test", "X-Watchbill-Report": "fleet/daily", "X-Watchbill-Verdict": "Fail",
			"Idempotency-Key": "fleet/daily/2026-01-15T07:00:00Z/2026-01-15T08:00:00Z",
		} {
			if got := got.Header.Get(header); got != want {
				t.Errorf("%s: want %q, got %q", header, want, got)
			}
		}
	}
}

// TestWebhooksThatMisbehave uses faulty receivers.
func TestWebhooksThatMisbehave(t *testing.T) {
	t.Parallel()
	other := receive(t, answer(http.StatusOK, ""))
	ok := answer(http.StatusOK, "")
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	endless := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("blah ", 1<<12)); err != nil {
					return
				}
			}
		}
	}
	redirect := func(to string, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, status) }
	}
	for _, tt := range []struct {
		name    string
		answers []http.HandlerFunc
		tries   int
		want    string // HOST is replaced by the receiver's address
	}{
		{"fails once", []http.HandlerFunc{answer(500, "oops"), ok}, 2, "delivered"},
		{"fails twice", []http.HandlerFunc{answer(503, ""), abort, ok}, 3, "delivered"},
		{"is gone", []http.HandlerFunc{answer(410, "")}, 1, "HOST responds with 410"},
		{"refuses", []http.HandlerFunc{answer(400, "<p>no\x1b[31m\nway"), ok}, 1, `HOST responds with 400: "<p>no�[31m way"`},
		{
			"repeats the URL",
			[]http.HandlerFunc{answer(404, "no route "+path+" nor XXXXXXXXXXXX or s3cr3t-word, https://x/?q=s3cr3t-word")},
			1,
			`HOST responds with 404: "no route … nor … or …, https://x/?q=…"`,
		},
		{"says much", []http.HandlerFunc{answer(400, strings.Repeat("ü", 5000))}, 1, `HOST responds with 400: "` + strings.Repeat("ü", 199) + `…"`},
		{"never stops refusing", []http.HandlerFunc{endless(422)}, 1, `HOST responds with 422: "` + strings.Repeat("blah ", 39) + `blah…"`},
		{"never stops thanking", []http.HandlerFunc{endless(200)}, 1, "delivered"},
		{"fails for good", []http.HandlerFunc{answer(502, "")}, 3, "HOST responds with 502 (tried 3 times)"},
		{"breaks off", []http.HandlerFunc{abort}, 3, "cannot reach HOST: EOF (tried 3 times)"},
		{"wants less", []http.HandlerFunc{answer(429, "", "Retry-After", "0"), answer(429, "", "Retry-After", "Thu, 15 Jan 2026 08:00:00 GMT"), ok}, 3, "delivered"},
		{"points to another", []http.HandlerFunc{redirect(other.url+"/x?token=s3cr3t-word", 307)}, 1, "HOST responds with a redirect (307) to " + other.url + ", which is not followed"},
		{"points to another page", []http.HandlerFunc{redirect("/login", 302)}, 1, "HOST responds with a redirect (302) elsewhere, which is not followed"},
		{"points to its new place", []http.HandlerFunc{redirect("/new", 308), ok}, 2, "delivered"},
		{"points in circles", []http.HandlerFunc{redirect("/", 307)}, 4, "HOST responds with a redirect (307) elsewhere, which is not followed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := receive(t, tt.answers...)
			got := deliver(t, aReport(t, toHook(t, h.url+path, report.JSON, reportjob.Generic)), options())
			want := "webhook secret hook/url: " + strings.ReplaceAll(tt.want, "HOST", h.url)
			if diff := cmp.Diff([]string{want}, got); diff != "" || h.tries() != tt.tries {
				t.Errorf("%d tries, want %d; (-want +got)\n%s", h.tries(), tt.tries, diff)
			}
			for _, body := range h.bodies {
				if body != h.bodies[0] || body == "" {
					t.Error("not every try had the report")
				}
			}
		})
	}
	t.Cleanup(func() {
		if n := other.tries(); n > 0 {
			t.Errorf("a redirect to another was followed %d times", n)
		}
	})
}

func TestInvalidWebhooks(t *testing.T) {
	t.Parallel()
	none := toHook(t, "", report.JSON, reportjob.Generic)
	none.Webhook.URLFile += "s"
	folder := toHook(t, "", report.JSON, reportjob.Generic)
	folder.Webhook.URLFile = filepath.Dir(folder.Webhook.URLFile)
	bad := "the key url of the Secret hook is not a URL of http or https"
	for _, tt := range []struct {
		output reportjob.Output
		want   string
	}{
		{none, "the report's namespace has no Secret hook with the key url"},
		{folder, "the key url of the Secret hook cannot be read: is a directory"},
		{toHook(t, "", report.JSON, reportjob.Generic), "the key url of the Secret hook is empty"},
		{toHook(t, strings.Repeat("x", 1<<17), report.JSON, reportjob.Generic), "the key url of the Secret hook is over 65536 bytes"},
		{toHook(t, "hooks.example/s3cr3t", report.JSON, reportjob.Generic), bad},
		{toHook(t, "ftp://hooks.example/s3cr3t", report.JSON, reportjob.Generic), bad},
		{toHook(t, "https:///s3cr3t", report.JSON, reportjob.Generic), bad},
		{toHook(t, "https://hooks.example/s3cr3t\nhttps://other.example", report.JSON, reportjob.Generic), bad},
		{toHook(t, "https://hooks.example:port/s3cr3t", report.JSON, reportjob.Generic), bad},
		{
			toHook(t, "http://user:s3cr3t@127.0.0.1:1"+path, report.JSON, reportjob.Generic),
			"cannot reach http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused (tried 3 times)",
		},
		{reportjob.Output{Format: report.JSON}, ""},
		{toHook(t, "http://127.0.0.1:1", "pdf", reportjob.Generic), `rendering report "0197a1b2-0000-7000-8000-000000000001": unknown format "pdf"`},
	} {
		want := "webhook secret hook/url: " + tt.want
		if tt.want == "" {
			want = "nowhere: the output names no place"
		}
		if diff := cmp.Diff([]string{want}, deliver(t, aReport(t, tt.output), options())); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestRetryAfter uses a receiver whose Retry-After exceeds Options.Try, which is then the delay.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	var first, second atomic.Int64
	h := receive(t,
		func(w http.ResponseWriter, r *http.Request) {
			first.Store(time.Now().UnixNano())
			answer(429, "", "Retry-After", "3600")(w, r)
		},
		func(http.ResponseWriter, *http.Request) { second.Store(time.Now().UnixNano()) },
	)
	o := options()
	o.Try = 300 * time.Millisecond
	got := deliver(t, aReport(t, toHook(t, h.url, report.JSON, reportjob.Generic)), o)
	waited := time.Duration(second.Load() - first.Load())
	if got[0] != "webhook secret hook/url: delivered" || waited < o.Try || waited > time.Minute {
		t.Errorf("want it delivered after %s, got %q after %s", o.Try, got, waited)
	}
}

// TestOutputsAreIndependent uses an output that never responds, one that fails and one that works, and then a done context.
func TestOutputsAreIndependent(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(t.Context())
	var failed atomic.Int64
	stuck := receive(t, silent)
	failing := receive(t, func(w http.ResponseWriter, r *http.Request) {
		if failed.Add(1) == 2 {
			end()
		}
		answer(500, "")(w, r)
	})
	root := t.TempDir()
	r := aReport(t,
		toHook(t, stuck.url, report.JSON, reportjob.Generic), toHook(t, failing.url, report.JSON, reportjob.Generic), onVolume(root, "", report.JSON))
	o := options()
	o.Tries = 1000
	var got []string
	for _, outcome := range delivery.Deliver(ctx, r, o) {
		got = append(got, inWords(outcome))
	}
	want := []string{"webhook secret hook/url: ended before it was delivered: ", "webhook secret hook/url: ended before it was delivered: ", "pvc/reports: delivered"}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("want %q, got %q", want[i], got[i])
		}
	}
	for i, outcome := range delivery.Deliver(ctx, r, o) { // the context is done already
		if want := "ended before it was delivered: there was no time left"; outcome.Delivered || outcome.Message != want {
			t.Errorf("output %d: want %q, got %+v", i, want, outcome)
		}
	}
}

// slack is a message in Slack's format.
type slack struct {
	Text   string
	Blocks []struct {
		Type string
		Text struct {
			Type, Text string
			Verbatim   bool
		}
	}
}

func postToSlack(t *testing.T, r delivery.Report) slack {
	t.Helper()
	h := receive(t, answer(http.StatusOK, "ok"))
	r.Spec.Outputs = []reportjob.Output{toHook(t, h.url, report.Markdown, reportjob.Slack)}
	if diff := cmp.Diff([]string{"webhook secret hook/url: delivered"}, deliver(t, r, options())); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	if got := h.got[0].Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("want JSON, got %s", got)
	}
	var message slack
	if err := json.Unmarshal([]byte(h.bodies[0]), &message); err != nil {
		t.Fatal(err)
	}
	if n := len(message.Blocks); n == 0 || n > 50 {
		t.Errorf("want 1 to 50 blocks, got %d", n)
	}
	for _, block := range message.Blocks {
		if n := utf8.RuneCountInString(block.Text.Text); block.Type != "section" || block.Text.Type != "mrkdwn" || !block.Text.Verbatim || n == 0 || n > 3000 {
			t.Errorf("a block of %d characters: %+v", n, block)
		}
	}
	return message
}

func TestSlack(t *testing.T) {
	t.Parallel()
	got := postToSlack(t, aReport(t))
	want := ":x: *fleet/daily*: Fail: 1 of 3 objectives missed, 1 without data\n" +
		"2026-01-15 07:00 to 2026-01-15 08:00 UTC, report 0197a1b2-0000-7000-8000-000000000001\n" +
		":x: *errors* 10 % (target &lt; 1 %), 100 in 1,000 answers\n" +
		":grey_question: *pool* no data (target &lt; 80 %)\n" +
		":white_check_mark: *most* 10 % (target &lt; 50 %), 100 in 1,000 answers\n"
	if len(got.Blocks) != 1 || got.Blocks[0].Text.Text != want {
		t.Errorf("want\n%s\ngot\n%+v", want, got.Blocks)
	}
	if want := "fleet/daily: Fail: 1 of 3 objectives missed, 1 without data"; got.Text != want {
		t.Errorf("want %q, got %q", want, got.Text)
	}
}

// TestSlackResponsesOfOtherServers uses an oversized document with text that a message must not contain unescaped.
func TestSlackResponsesOfOtherServers(t *testing.T) {
	t.Parallel()
	r := aReport(t)
	hostile := "<!channel> & <https://evil.example|click>\n\x1b[31m\u202e " + strings.Repeat("<&>", 1000)
	for i := range 2000 {
		r.Document.Objectives = append(r.Document.Objectives, objective.Result{
			Name: fmt.Sprintf("%d %s", i, hostile), Detail: hostile, Comparison: objective.Comparison(hostile), Actual: new(1.0), Met: new(false),
		})
	}
	r.Document.ID = hostile
	got := postToSlack(t, r)
	var all strings.Builder
	for _, block := range got.Blocks {
		all.WriteString(block.Text.Text)
	}
	if s := all.String() + got.Text; strings.ContainsAny(s, "<>\x1b\u202e") || strings.Contains(s, "& ") {
		t.Error("something is not escaped")
	}
	last := got.Blocks[len(got.Blocks)-1].Text.Text
	if len(got.Blocks) != 50 || !strings.HasPrefix(last, "… and ") || !strings.HasSuffix(last, " more") {
		t.Errorf("want 50 blocks and the number of those that are left out, got %d and %q", len(got.Blocks), last)
	}
}
