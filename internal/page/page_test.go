package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	shellBody  = "<!doctype html><title>Watchbill</title>"
	scriptBody = "console.log(1)"
)

func compressed(t *testing.T, body string) *fstest.MapFile {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: b.Bytes()}
}

func unobserved(*http.Request, int, int64, time.Duration) {}

func newPage(t *testing.T) *Page {
	t.Helper()
	p, err := load(fstest.MapFS{
		".gitignore":              {Data: []byte("*")},
		"index.html.gz":           compressed(t, shellBody),
		"index.html.br":           {Data: []byte("brotli shell")},
		"assets/index-a1b2.js.gz": compressed(t, scriptBody),
	}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), unobserved, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(t *testing.T, p *Page, method, target string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	const forever = "public, max-age=31536000, immutable"
	for _, tt := range []struct {
		name, method, target, accept     string
		status                           int
		mediaType, encoding, cache, body string
	}{
		{"the shell at the root", "GET", "/", "", 200, "text/html; charset=utf-8", "", "no-cache", shellBody},
		{"the shell of a view", "GET", "/ui/agents/x.y?w=24h", "", 200, "text/html; charset=utf-8", "", "no-cache", shellBody},
		{"the shell, by Brotli", "GET", "/", "gzip, deflate, br", 200, "text/html; charset=utf-8", "br", "no-cache", "brotli shell"},
		{"Brotli refused by weight", "GET", "/", "br;q=0, identity", 200, "text/html; charset=utf-8", "", "no-cache", shellBody},
		{"no body for HEAD", "HEAD", "/", "br", 200, "text/html; charset=utf-8", "br", "no-cache", ""},
		{"a hashed file", "GET", "/ui/assets/index-a1b2.js", "", 200, "text/javascript; charset=utf-8", "", forever, scriptBody},
		{"a hashed file without Brotli", "GET", "/ui/assets/index-a1b2.js", "br", 200, "text/javascript; charset=utf-8", "", forever, scriptBody},
		{"a hashed file of another version", "GET", "/ui/assets/index-0000.js", "", 404, "application/problem+json", "", "no-store", ""},
		{"a write", "POST", "/ui/agents", "", 405, "application/problem+json", "", "no-store", ""},
		{"the API", "GET", "/api/agents", "", http.StatusTeapot, "", "", "", ""},
		{"a path that only begins alike", "GET", "/uivoid", "", http.StatusTeapot, "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(t, newPage(t), tt.method, tt.target, map[string]string{"Accept-Encoding": tt.accept})
			header := w.Header()
			if w.Code != tt.status || header.Get("Content-Type") != tt.mediaType || header.Get("Content-Encoding") != tt.encoding ||
				header.Get("Cache-Control") != tt.cache {
				t.Errorf("got %d %q, want %d %q encoded as %q, cached as %q", w.Code, header, tt.status, tt.mediaType, tt.encoding, tt.cache)
			}
			if tt.status == 200 && w.Body.String() != tt.body {
				t.Errorf("got body %q, want %q", w.Body, tt.body)
			}
		})
	}
}

func TestPolicyForbidsInlineCode(t *testing.T) {
	got := get(t, newPage(t), "GET", "/", nil).Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(got, want) {
			t.Errorf("got policy %q, want %q in it", got, want)
		}
	}
	if strings.Contains(got, "unsafe") {
		t.Errorf("got policy %q, want nothing unsafe", got)
	}
}

func TestUnchangedShellIsNotSentAgain(t *testing.T) {
	p := newPage(t)
	tag := get(t, p, "GET", "/", map[string]string{"Accept-Encoding": "br"}).Header().Get("ETag")
	for _, given := range []string{tag, `"other", ` + tag, strings.TrimPrefix(tag, "W/"), "*"} {
		if w := get(t, p, "GET", "/ui/costs", map[string]string{"If-None-Match": given}); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("If-None-Match %s: got %d with %d bytes, want 304 and none", given, w.Code, w.Body.Len())
		}
	}
	if w := get(t, p, "GET", "/", map[string]string{"If-None-Match": `"other"`}); w.Code != http.StatusOK {
		t.Errorf("another tag: got %d, want 200", w.Code)
	}
}

func TestProgramWithoutPageSaysHowToGetIt(t *testing.T) {
	p, err := load(fstest.MapFS{".gitignore": {Data: []byte("*")}}, http.NotFoundHandler(), unobserved, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w := get(t, p, "GET", "/", nil)
	if got := w.Body.String(); w.Code != http.StatusNotFound || got != absent || strings.Count(got, "\n") != 1 {
		t.Errorf("got %d %q, want 404 and one line that says how", w.Code, got)
	}
}

func TestFileWithoutGzipIsRejected(t *testing.T) {
	if _, err := load(fstest.MapFS{"index.html.br": {Data: []byte("x")}}, nil, unobserved, time.Now); err == nil || !strings.Contains(err.Error(), "index.html.gz is missing") {
		t.Errorf("got %v, want an error that names the missing file", err)
	}
}

func TestResponsesOfThePageAreObserved(t *testing.T) {
	type response struct {
		path   string
		status int
		bytes  int64
		took   time.Duration
	}
	var got []response
	p := newPage(t)
	p.observe = func(r *http.Request, status int, bytes int64, took time.Duration) {
		got = append(got, response{r.URL.Path, status, bytes, took})
	}
	var clock time.Time
	p.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	br := map[string]string{"Accept-Encoding": "br"}
	tag := get(t, p, "GET", "/", nil).Header().Get("ETag")
	get(t, p, "GET", "/ui/overview", br)
	get(t, p, "HEAD", "/ui/overview", br)
	get(t, p, "GET", "/ui/overview", map[string]string{"If-None-Match": tag})
	get(t, p, "GET", "/ui/assets/gone.js", nil)
	get(t, p, "GET", "/api/health", nil) // observed by the server
	missing := got[len(got)-1].bytes
	want := []response{
		{"/", 200, int64(len(shellBody)), time.Second},
		{"/ui/overview", 200, int64(len("brotli shell")), time.Second},
		{"/ui/overview", 200, 0, time.Second},
		{"/ui/overview", 304, 0, time.Second},
		{"/ui/assets/gone.js", 404, missing, time.Second},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(response{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
