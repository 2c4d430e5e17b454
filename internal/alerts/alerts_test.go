package alerts_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/alerts"
)

// source is a server with alerts.
type source struct {
	*httptest.Server
	requests atomic.Int64
	mu       sync.Mutex
	seen     []*http.Request
}

func newSource(t *testing.T, serve http.HandlerFunc) *source {
	t.Helper()
	s := &source{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		s.mu.Lock()
		s.seen = append(s.seen, r)
		s.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func at(path, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(answer))
	}
}

func newReader(t *testing.T, opts alerts.Options) *alerts.Reader {
	t.Helper()
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := alerts.Check(opts); err != nil {
		t.Fatal(err)
	}
	r, err := alerts.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func active(t *testing.T, r *alerts.Reader) alerts.Snapshot {
	t.Helper()
	s, err := r.Active(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func recorded(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestReadersOfRecordedServers(t *testing.T) {
	t.Parallel()
	now := alerts.Alert{
		Name: "FiresNow", Severity: "critical", State: alerts.Firing, Since: time.Date(2026, 11, 30, 23, 30, 56, 426745134, time.UTC),
		Summary: "It fires <b>now</b>", Description: "value 0.5", RunbookURL: "https://example.com/runbook", Labels: map[string]string{"service": "watchbill"},
	}
	other := func(name, severity string, state alerts.State) alerts.Alert {
		return alerts.Alert{Name: name, Severity: severity, State: state, Since: now.Since, Labels: map[string]string{}}
	}
	rounded := func(a alerts.Alert, url string) alerts.Alert {
		a.Since, a.SourceURL = a.Since.Truncate(time.Millisecond), url
		return a
	}
	for name, c := range map[string]struct {
		path   string
		prefix string
		want   alerts.Snapshot
	}{
		"prometheus-3.7.3.json": {path: "/api/v1/alerts", want: alerts.Snapshot{
			Configured: true, Kind: alerts.Prometheus, Total: 3, Firing: 2,
			Alerts: []alerts.Alert{now, other("Watchdog", "none", alerts.Firing), other("Pends", "warning", alerts.Pending)},
		}},
		"alertmanager-0.28.1.json": {path: "/behind/a/prefix/api/v2/alerts", prefix: "/behind/a/prefix/", want: alerts.Snapshot{
			Configured: true, Kind: alerts.Alertmanager, Total: 2, Firing: 1,
			Alerts: []alerts.Alert{
				rounded(now, "http://prometheus:19390/graph?g0.expr=vector%281%29+%2A+0.5&g0.tab=1"),
				rounded(other("Watchdog", "none", alerts.Suppressed), "http://prometheus:19390/graph?g0.expr=vector%281%29&g0.tab=1"),
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSource(t, at(c.path, recorded(t, name)))
			got := active(t, newReader(t, alerts.Options{URL: s.URL + c.prefix}))
			got.Taken = time.Time{}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestAddressOfTheAPIIsAccepted checks that the address of the list itself works as the server's does.
func TestAddressOfTheAPIIsAccepted(t *testing.T) {
	t.Parallel()
	s := newSource(t, at("/am/api/v2/alerts", "[]"))
	if got := active(t, newReader(t, alerts.Options{URL: s.URL + "/am/api/v2/alerts"})); got.Fault != "" || got.Kind != alerts.Alertmanager {
		t.Errorf("got %+v", got)
	}
}

func TestFaultsNameTheCauseAndNoSecret(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://192.0.2.1/elsewhere?secret")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"nothing there":   {answer(404, "secret"), "has neither the API of an Alertmanager"},
		"another server":  {answer(400, "unsupported path, secret"), "has neither the API of an Alertmanager"},
		"a page":          {answer(200, "<html>secret"), "has neither the API of an Alertmanager"},
		"an object":       {answer(200, `{"status":"error","error":"secret"}`), "has neither the API of an Alertmanager"},
		"null":            {answer(200, `null`), "has neither the API of an Alertmanager"},
		"a redirect":      {answer(302, "secret"), "redirects (status 302)"},
		"a login":         {answer(401, "secret"), "rejects the credentials (status 401)"},
		"forbidden":       {answer(403, "secret"), "rejects the credentials (status 403)"},
		"overloaded":      {answer(429, "secret"), "responded with status 429"},
		"failing":         {answer(500, "secret"), "responded with status 500"},
		"without content": {answer(204, ""), "responded with status 204"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("[{"))
		}, "cannot read the response"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for block := []byte(strings.Repeat(" ", 1<<16)); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "is larger than 4194304 bytes"},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = c.Write([]byte("secret\r\n\r\n"))
				_ = c.Close()
			}
		}, "cannot reach"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSource(t, c.serve)
			url := strings.Replace(s.URL, "http://", "http://user:password@", 1)
			got := active(t, newReader(t, alerts.Options{URL: url}))
			if !strings.Contains(got.Fault, c.want) || !got.Configured || len(got.Alerts) > 0 {
				t.Errorf("want %q, got %+v", c.want, got)
			}
			for _, secret := range []string{"password", "192.0.2.1", "<html>"} {
				if strings.Contains(got.Fault, secret) {
					t.Errorf("%q shows %q", got.Fault, secret)
				}
			}
		})
	}
}

func TestUnreachableServerIsAFault(t *testing.T) {
	t.Parallel()
	s := newSource(t, at("/", ""))
	s.Close()
	got := active(t, newReader(t, alerts.Options{URL: "http://user:password@" + s.Listener.Addr().String()}))
	if !strings.Contains(got.Fault, "cannot reach http://"+s.Listener.Addr().String()) || strings.Contains(got.Fault, "password") {
		t.Errorf("got %q", got.Fault)
	}
}

func TestWithoutAURLNothingIsConfigured(t *testing.T) {
	t.Parallel()
	if got := active(t, newReader(t, alerts.Options{})); got.Configured || got.Fault != "" {
		t.Errorf("got %+v", got)
	}
}

// TestManyCallersShareOneRead lets many callers ask while the server responds slowly, and some of them leave.
func TestManyCallersShareOneRead(t *testing.T) {
	t.Parallel()
	release, asked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := newSource(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(asked) })
		<-release
		_, _ = w.Write([]byte("[]"))
	})
	r := newReader(t, alerts.Options{URL: s.URL})
	leaving, leave := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := r.Active(leaving); err == nil {
			t.Error("the caller that left got alerts")
		}
	})
	<-asked
	for range 50 {
		all.Go(func() {
			if got, err := r.Active(t.Context()); err != nil || got.Fault != "" {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	leave()
	close(release)
	all.Wait()
	if got := s.requests.Load(); got != 1 {
		t.Errorf("want 1 request, got %d", got)
	}
}

// TestSnapshotsAgeAndKindsAreRemembered checks when the server is asked again, and that another kind is found.
func TestSnapshotsAgeAndKindsAreRemembered(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	var path atomic.Pointer[string]
	setPath := func(p string) { path.Store(&p) }
	setPath("/api/v1/alerts")
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != *path.Load():
			http.NotFound(w, r)
		case r.URL.Path == "/api/v1/alerts":
			_, _ = w.Write([]byte(`{"status":"success","data":{"alerts":[]}}`))
		default:
			_, _ = w.Write([]byte(`[]`))
		}
	})
	r := newReader(t, alerts.Options{URL: s.URL, Now: func() time.Time { return time.Unix(1_000_000+now.Load(), 0) }})
	for _, step := range []struct {
		after    int64 // seconds
		path     string
		requests int64
		kind     alerts.Kind
	}{
		{0, "/api/v1/alerts", 2, alerts.Prometheus},
		{4, "/api/v1/alerts", 2, alerts.Prometheus},
		{1, "/api/v1/alerts", 3, alerts.Prometheus}, // without asking for the other kind
		{5, "/api/v2/alerts", 5, alerts.Alertmanager},
		{5, "/api/v2/alerts", 6, alerts.Alertmanager},
		{-1000, "/api/v2/alerts", 7, alerts.Alertmanager}, // the clock was set back
	} {
		now.Add(step.after)
		setPath(step.path)
		got := active(t, r)
		if got.Kind != step.kind || s.requests.Load() != step.requests || got.Fault != "" {
			t.Errorf("%+v: got %d requests and %+v", step, s.requests.Load(), got)
		}
	}
}

func TestTokenIsReadForEachRequest(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	s := newSource(t, at("/api/v2/alerts", "[]"))
	file := filepath.Join(t.TempDir(), "token")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	r := newReader(t, alerts.Options{URL: s.URL, TokenFile: file, Now: func() time.Time { return time.Unix(1_000_000+now.Load(), 0) }})
	for _, want := range []string{"first", "second"} {
		write(want + "\n")
		now.Add(10)
		active(t, r)
		if got := s.seen[len(s.seen)-1].Header.Get("Authorization"); got != "Bearer "+want {
			t.Errorf("want token %s, got %q", want, got)
		}
	}
	for _, wrong := range []string{"", "two tokens", "a\x00b", "tøken", strings.Repeat("x", 20_000)} {
		write(wrong)
		now.Add(10)
		if got := active(t, r); !strings.Contains(got.Fault, "--alerts-token-file") {
			t.Errorf("%.20q: got %+v", wrong, got)
		}
	}
}

func TestHostileAlertsAreBounded(t *testing.T) {
	t.Parallel()
	var labels strings.Builder
	for i := range 100 {
		fmt.Fprintf(&labels, `,"l%03d":%q`, i, strings.Repeat("v", 1000))
	}
	one := `{"labels":{"alertname":%q` + labels.String() + `},"annotations":{"summary":%q,"runbook_url":%q},"status":{"state":"active"},"startsAt":"2026-01-01T00:00:00Z"}`
	long := strings.Repeat("é", 100_000)
	var list []string
	for i := range 300 {
		list = append(list, fmt.Sprintf(one, fmt.Sprintf("A%03d", i), "s", "javascript:alert(1)"))
	}
	list[0] = fmt.Sprintf(one, "A000"+long, long, "https://user:password@host/")
	s := newSource(t, at("/api/v2/alerts", "["+strings.Join(list, ",")+"]"))
	if got := active(t, newReader(t, alerts.Options{URL: s.URL})); !strings.Contains(got.Fault, "larger than") {
		t.Errorf("want the response to be too large, got %.200v", got.Fault)
	}
	list = list[:20]
	for i := range 280 {
		list = append(list, fmt.Sprintf(`{"labels":{"alertname":"B%03d","severity":"CRITICAL"},"startsAt":"2026-01-01T00:00:00Z"}`, i))
	}
	s = newSource(t, at("/api/v2/alerts", "["+strings.Join(list, ",")+"]"))
	got := active(t, newReader(t, alerts.Options{URL: s.URL}))
	if got.Total != 300 || got.Firing != 300 || len(got.Alerts) != alerts.MaxAlerts || got.Alerts[0].Name != "B000" || got.Alerts[0].Severity != "critical" {
		t.Fatalf("got %d of %d alerts, first %+v", len(got.Alerts), got.Total, got.Alerts[0])
	}
	s = newSource(t, at("/api/v2/alerts", "["+strings.Join(list[:2], ",")+"]"))
	got = active(t, newReader(t, alerts.Options{URL: s.URL}))
	for _, a := range got.Alerts {
		if len(a.Name) > 300 || len(a.Summary) > 2100 || len(a.Labels) != 30 || a.RunbookURL != "" || len(a.Labels["l000"]) > 300 {
			t.Errorf("not bounded: %.300v", a)
		}
	}
}

func TestCheckNamesTheFlag(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ url, file, want string }{
		{url: "prometheus:9090", want: "--alerts-url"},
		{url: "ftp://host", want: "--alerts-url"},
		{url: "http://", want: "--alerts-url"},
		{url: "http://user:password@ho st/", want: "--alerts-url"},
		{url: "http://user:password@host/?query=1", want: "--alerts-url"},
		{url: "http://host/#f", want: "--alerts-url"},
		{file: "/nowhere", want: "--alerts-token-file"},
		{url: "http://host", file: "/nowhere", want: "--alerts-token-file"},
		{url: "http://host", file: t.TempDir(), want: "--alerts-token-file"},
		{url: "http://host", file: empty, want: "--alerts-token-file"},
		{url: "http://user:password@host", file: empty, want: "--alerts-token-file"},
	} {
		err := alerts.Check(alerts.Options{URL: c.url, TokenFile: c.file})
		if err == nil || !strings.HasPrefix(err.Error(), c.want+": ") || strings.Contains(err.Error(), "password@") {
			t.Errorf("%s %s: want an error of %s, got %v", c.url, c.file, c.want, err)
		}
	}
}
