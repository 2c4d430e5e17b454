package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/ingest"
)

// brief is the example request in the project's requirements.
const brief = `{
    "message":  "Create flashcards about Python",
    "user_id":  "18717267-0855-433c-b160-04c3443daa80",
    "options":  {
                    "count":  3,
                    "difficulty":  "medium",
                    "content":  "Python is a programming language"
                },
    "type":  "flashcard_generation"
}`

func promptOf(body string) request {
	return request{method: "POST", path: "/api/ai/process-stream", token: ingestToken, body: body}
}

func TestStream(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	r := promptOf(brief)
	r.header = map[string]string{"X-Request-Id": "req-1"}
	got := a.send(t, r).want(http.StatusOK)
	const want = "event: started\ndata: {\"agent_name\":\"echo\"}\n\nevent: delta\ndata: {\"text\":\"Create flashcards about Python\"}\n\n" +
		": heartbeat\n\nevent: completed\ndata: {\"status\":\"success\"}\n\n"
	if got.Body.String() != want {
		t.Errorf("got %q, want %q", got.Body, want)
	}
	header := got.Header()
	if header.Get("Content-Type") != "text/event-stream" || header.Get("Cache-Control") != "no-store" || header.Get("X-Accel-Buffering") != "no" || !got.Flushed {
		t.Errorf("got %v", header)
	}
	p := a.gateway.prompts[0]
	if p.Type != "flashcard_generation" || p.UserID != "18717267-0855-433c-b160-04c3443daa80" || p.Message != "Create flashcards about Python" ||
		p.SessionID != "" || p.RequestID != "req-1" || !strings.Contains(string(p.Options), `"difficulty":  "medium"`) {
		t.Errorf("got %+v", p)
	}
	a.send(t, promptOf(`{"type":"t","user_id":"u","message":"m","session_id":"s"}`)).want(http.StatusOK)
	if p := a.gateway.prompts[1]; p.SessionID != "s" || p.RequestID == "" || p.Options != nil {
		t.Errorf("got %+v", p)
	}
}

func TestBadPrompts(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	tests := map[string]struct{ body, code, field string }{
		"no type":             {`{"user_id":"u","message":"m"}`, "missing_field", "type"},
		"a type with blanks":  {`{"type":"a b","user_id":"u","message":"m"}`, "invalid_field", "type"},
		"a long type":         {`{"type":"` + strings.Repeat("a", 129) + `","user_id":"u","message":"m"}`, "invalid_field", "type"},
		"a type that begins":  {`{"type":"-a","user_id":"u","message":"m"}`, "invalid_field", "type"},
		"a line break":        {`{"type":"a\n","user_id":"u","message":"m"}`, "invalid_field", "type"},
		"no user":             {`{"type":"t","message":"m"}`, "missing_field", "user_id"},
		"a user's line break": {`{"type":"t","user_id":"u\nv","message":"m"}`, "invalid_field", "user_id"},
		"a long user":         {`{"type":"t","user_id":"` + strings.Repeat("é", 129) + `","message":"m"}`, "invalid_field", "user_id"},
		"no message":          {`{"type":"t","user_id":"u"}`, "missing_field", "message"},
		"a long message":      {`{"type":"t","user_id":"u","message":"` + strings.Repeat("m", ingest.MaxMessage+1) + `"}`, "invalid_field", "message"},
		"a long session":      {`{"type":"t","user_id":"u","message":"m","session_id":"` + strings.Repeat("s", 257) + `"}`, "invalid_field", "session_id"},
		"options as a list":   {`{"type":"t","user_id":"u","message":"m","options":[]}`, "invalid_type", "options"},
		"options of nothing":  {`{"type":"t","user_id":"u","message":"m","options":null}`, "invalid_type", "options"},
		"many options":        {`{"type":"t","user_id":"u","message":"m","options":{"a":"` + strings.Repeat("x", ingest.MaxOptions) + `"}}`, "invalid_field", "options"},
		"a NUL in an option":  {`{"type":"t","user_id":"u","message":"m","options":{"a":"\u0000"}}`, "nul_character", "options.a"},
		"an unknown field":    {`{"type":"t","user_id":"u","message":"m","model":"x"}`, "unknown_field", "model"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if p := a.send(t, promptOf(tt.body)).want(http.StatusBadRequest).problem(); p.Code != tt.code || p.Field != tt.field {
				t.Errorf("got %+v, want %s of %s", p, tt.code, tt.field)
			}
		})
	}
	a.send(t, promptOf(`{"type":"t","user_id":"u","message":"`+strings.Repeat("m", ingest.MaxMessage)+`"}`)).want(http.StatusOK)
	if n := len(a.gateway.prompts); n != 1 {
		t.Errorf("%d runs were started, want only the good one", n)
	}
}

func TestRunsThatFailToStart(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.gateway.err = errNoAgent
	if p := a.send(t, promptOf(brief)).want(http.StatusNotFound).problem(); p.Code != "no_agent" || p.Field != "type" {
		t.Errorf("got %+v", p)
	}
	a.gateway.err = fault.ErrUnavailable
	if got := a.send(t, promptOf(brief)).want(http.StatusServiceUnavailable); got.Header().Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
	rules, err := ratelimit.Parse([]string{"gateway/user=1/d"})
	if err != nil {
		t.Fatal(err)
	}
	b := newAPI(t, func(o *Options) { o.Limiter = ratelimit.New(ratelimit.Options{Limits: rules, Now: time.Now}) })
	if got := b.send(t, promptOf(brief)).want(http.StatusOK); got.Header().Get("RateLimit") == "" {
		t.Errorf("got %v", got.Header())
	}
	b.send(t, promptOf(brief)).want(http.StatusTooManyRequests)
	if n := len(b.gateway.prompts); n != 1 {
		t.Errorf("%d runs were started, want 1", n)
	}
}

// A run that ends without a last event is an internal error, which the client receives and the log reports.
func TestSilentRun(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.gateway.run = func(context.Context, func(execution.Event) error) error { return nil }
	got := a.send(t, promptOf(brief)).want(http.StatusOK)
	if !strings.HasPrefix(got.Body.String(), "event: error\ndata: {\"code\":\"internal\",") || len(a.logged(t, "a run ended without an outcome")) != 1 {
		t.Errorf("got %q", got.Body)
	}
}

// A partial response must not look complete.
func TestEventThatCannotBeSent(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.gateway.run = func(_ context.Context, emit func(execution.Event) error) error {
		_ = emit(execution.Event{Name: "started", Data: struct{}{}})
		_ = emit(execution.Event{Name: "delta", Data: func() {}})
		return emit(execution.Event{Name: "completed", Data: struct{}{}})
	}
	a.gateway.ended = make(chan error, 1)
	stream := a.streaming(t, 1, nil)
	if body, err := io.ReadAll(stream); err == nil || strings.Contains(string(body), "completed") {
		t.Errorf("got %q, %v", body, err)
	}
	if err := <-a.gateway.ended; err == nil {
		t.Error("the run is not told")
	}
}

// streaming opens a stream on a separate server and returns the response's body.
func (a *api) streaming(t *testing.T, protocol int, change func(*http.Server)) io.ReadCloser {
	t.Helper()
	opts, client := connections.ServerOptions{}, &http.Client{}
	if protocol == 2 {
		certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
		writeCertificate(t, certFile, keyFile, 1)
		certificates, err := connections.LoadCertificates(certFile, keyFile, time.Now, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		opts.TLS = certificates.Config()
	}
	scheme := map[int]string{1: "http", 2: "https"}[protocol]
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	client.Transport = transport
	req, err := http.NewRequestWithContext(t.Context(), "POST", scheme+"://"+listen(t, a, opts, change)+"/api/ai/process-stream", strings.NewReader(brief))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+ingestToken)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != protocol {
		t.Fatalf("got %s over %s", resp.Status, resp.Proto)
	}
	return resp.Body
}

// protocols runs a test over HTTP/1.1 and HTTP/2.
func protocols(t *testing.T, test func(t *testing.T, protocol int)) {
	t.Parallel()
	for name, protocol := range map[string]int{"HTTP 1": 1, "HTTP 2": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, protocol)
		})
	}
}

// Events are sent one by one, not when a buffer is full, and continue past the server's timeouts.
func TestEventsAreFlushedImmediately(t *testing.T) {
	protocols(t, func(t *testing.T, protocol int) {
		a := newAPI(t, nil)
		a.ingest.EventWithin = 50 * time.Millisecond // to read an event; the time between events is not limited
		next := make(chan struct{})
		a.gateway.run = func(_ context.Context, emit func(execution.Event) error) error {
			for range 2 {
				<-next
				if err := emit(execution.Event{Name: "delta", Data: map[string]string{"text": "x"}}); err != nil {
					return err
				}
			}
			<-next
			return emit(execution.Event{Name: "completed", Data: struct{}{}})
		}
		a.gateway.ended = make(chan error, 1)
		const pause = 120 * time.Millisecond // longer than any of the server's timeouts
		time.AfterFunc(pause, func() { next <- struct{}{} })
		stream := a.streaming(t, protocol, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond })
		reader := bufio.NewReader(stream)
		for range 2 {
			if line, err := reader.ReadString('\n'); err != nil || line != "event: delta\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			_, _ = reader.ReadString('\n')
			_, _ = reader.ReadString('\n')
			<-time.After(pause)
			next <- struct{}{}
		}
		rest, err := io.ReadAll(reader)
		if err != nil || string(rest) != "event: completed\ndata: {}\n\n" {
			t.Errorf("got %q, %v", rest, err)
		}
		if err := <-a.gateway.ended; err != nil {
			t.Errorf("the run ended with %v", err)
		}
	})
}

// A client that disconnects ends its run.
func TestStreamClientDisconnect(t *testing.T) {
	protocols(t, func(t *testing.T, protocol int) {
		a := newAPI(t, nil)
		a.gateway.run = func(ctx context.Context, emit func(execution.Event) error) error {
			_ = emit(execution.Event{Name: "started", Data: struct{}{}})
			<-ctx.Done()
			return context.Cause(ctx)
		}
		a.gateway.ended = make(chan error, 1)
		stream := a.streaming(t, protocol, nil)
		_ = stream.Close()
		if err := <-a.gateway.ended; !errors.Is(err, context.Canceled) || errors.Is(err, ingest.ErrEnded) {
			t.Errorf("the run ended with %v", err)
		}
	})
}

// A client that does not read is considered gone: a run does not wait for it.
func TestStreamClientDoesNotRead(t *testing.T) {
	protocols(t, func(t *testing.T, protocol int) {
		a := newAPI(t, nil)
		a.ingest.EventWithin = 50 * time.Millisecond
		a.gateway.run = func(_ context.Context, emit func(execution.Event) error) error {
			for {
				if err := emit(execution.Event{Name: "delta", Data: map[string]string{"text": strings.Repeat("x", 1<<20)}}); err != nil {
					return err
				}
			}
		}
		a.gateway.ended = make(chan error, 1)
		stream := a.streaming(t, protocol, nil)
		if err := <-a.gateway.ended; !errors.Is(err, ingest.ErrClientGone) {
			t.Errorf("the run ended with %v", err)
		}
		if _, err := io.Copy(io.Discard, stream); err == nil {
			t.Error("what the client got looks whole")
		}
	})
}

// A replica that shuts down ends its streams with an error event and rejects new ones.
func TestEndStreams(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.gateway.run = func(ctx context.Context, emit func(execution.Event) error) error {
		_ = emit(execution.Event{Name: "started", Data: struct{}{}})
		<-ctx.Done()
		return context.Cause(ctx)
	}
	a.gateway.ended = make(chan error, 1)
	stream := a.streaming(t, 1, nil)
	a.EndStreams()
	body, err := io.ReadAll(stream)
	if want := "event: started\ndata: {}\n\nevent: error\ndata: {\"code\":\"shutting_down\","; err != nil || !strings.HasPrefix(string(body), want) {
		t.Errorf("got %q, %v", body, err)
	}
	if err := <-a.gateway.ended; !errors.Is(err, ingest.ErrEnded) {
		t.Errorf("the run ended with %v", err)
	}
	if p := a.send(t, promptOf(brief)).want(http.StatusServiceUnavailable).problem(); p.Code != "shutting_down" {
		t.Errorf("got %+v", p)
	}
}

// The recorded latency of a stream ends with the first event and excludes the rest of the run.
func TestStreamsLatency(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	a := newAPI(t, func(o *Options) { o.Now = func() time.Time { return clock } })
	a.gateway.run = func(_ context.Context, emit func(execution.Event) error) error {
		clock = clock.Add(time.Second)
		_ = emit(execution.Event{Name: "started", Data: struct{}{}})
		clock = clock.Add(time.Hour)
		return emit(execution.Event{Name: "completed", Data: struct{}{}})
	}
	a.send(t, promptOf(brief)).want(http.StatusOK)
	lines := a.logged(t, "request")
	i := slices.IndexFunc(lines, func(l line) bool { return l.Route == "/api/ai/process-stream" })
	if i < 0 || lines[i].DurationMs != 1000 {
		t.Errorf("got %+v, want a second", lines)
	}
}
