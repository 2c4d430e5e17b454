package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet/agent"
)

var errNetwork = errors.New("network unreachable")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config returns the configuration of an agent of server, without jitter: every delay is the maximum.
func config(server http.RoundTripper, runner agent.Runner) agent.Config {
	var claims atomic.Int32
	return agent.Config{
		Server: "http://watchbill.test", ID: agentID, Token: token, Runner: runner,
		HTTPClient: &http.Client{Transport: server}, Logger: zap.NewNop(), Now: time.Now, Drain: time.Hour,
		Jitter:   func() float64 { return 1 },
		NewClaim: func() string { return fmt.Sprintf("claim-%d", claims.Add(1)) },
	}
}

// start runs an agent until stop is called, which returns Run's result.
func start(t *testing.T, cfg agent.Config) (stop func() error) {
	t.Helper()
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- a.Run(ctx) }()
	stopped := false
	stop = func() error {
		cancel()
		stopped = true
		return <-result
	}
	t.Cleanup(func() {
		cancel()
		if stopped {
			return
		}
		if err := <-result; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

func idle(context.Context, agent.Work, io.Writer) error { return nil }

// settle advances the time and waits until all goroutines block.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// gaps returns the seconds between requests.
func gaps(requests []seenRequest) []float64 {
	var gaps []float64
	for i := 1; i < len(requests); i++ {
		gaps = append(gaps, requests[i].at.Sub(requests[i-1].at).Seconds())
	}
	return gaps
}

func wantGaps(t *testing.T, requests []seenRequest, want ...float64) {
	t.Helper()
	got := gaps(requests)
	if len(got) > len(want) {
		got = got[:len(want)]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seconds between the requests (-want +got):\n%s", diff)
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := agent.New(agent.Config{Server: "ftp://x", ID: "../a", Concurrency: -1, Wait: time.Hour, Drain: -1})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"server:", "id:", "token:", "runner:", "concurrency:", "wait:", "drain:", "logger"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
}

func TestPollsAtTheServersInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		server.interval = "7.5"
		stop := start(t, config(server, agent.RunnerFunc(idle)))
		settle(20 * time.Second)
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		polls := server.polls()
		wantGaps(t, polls, 7.5, 7.5)
		if got := polls[0].header.Get("If-None-Match"); got != "" {
			t.Errorf("first poll: got If-None-Match %q, want none", got)
		}
		if got, want := polls[1].header.Get("If-None-Match"), `W/""`; got != want {
			t.Errorf("second poll: got If-None-Match %q, want %q", got, want)
		}
		if polls[0].query != "" {
			t.Errorf("got the query %q, want none", polls[0].query)
		}
	})
}

func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		ran := make(chan time.Time, 1)
		cfg := config(server, agent.RunnerFunc(func(context.Context, agent.Work, io.Writer) error {
			ran <- time.Now()
			return nil
		}))
		cfg.Wait = 30 * time.Second
		start(t, cfg)
		settle(75 * time.Second)
		wantGaps(t, server.polls(), 30, 30) // the first two were held to the end
		if got, want := server.polls()[0].query, "wait=30s"; got != want {
			t.Errorf("got the query %q, want %q", got, want)
		}
		created := time.Now()
		server.add("d1", time.Minute)
		if late := (<-ran).Sub(created); late != 0 {
			t.Errorf("the work began %s after it was created, want at once", late)
		}
	})
}

// A stopping server immediately answers polls that it would have held.
func TestLongPollDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		server.fault = func(r *http.Request) (*reply, error) {
			r.URL.RawQuery = ""
			return nil, nil
		}
		cfg := config(server, agent.RunnerFunc(idle))
		cfg.Wait = 30 * time.Second
		start(t, cfg)
		settle(25 * time.Second)
		wantGaps(t, server.polls(), 1, 10, 10)
	})
}

// respond gives these responses to the first polls, and leaves the rest to the server.
func respond(answers ...func() (*reply, error)) func(*http.Request) (*reply, error) {
	return func(r *http.Request) (*reply, error) {
		if len(answers) == 0 || !strings.Contains(r.URL.Path, "/pending/") {
			return nil, nil
		}
		answer := answers[0]
		answers = answers[1:]
		return answer()
	}
}

func status(code int, header ...string) func() (*reply, error) {
	return func() (*reply, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &reply{code, h, strings.NewReader(`{"code":"x","detail":"y"}`)}, nil
	}
}

func content(body string) func() (*reply, error) {
	return func() (*reply, error) {
		return &reply{http.StatusOK, http.Header{}, strings.NewReader(body)}, nil
	}
}

func broken(err error) func() (*reply, error) {
	return func() (*reply, error) { return nil, err }
}

func TestBackoff(t *testing.T) {
	type answers = []func() (*reply, error)
	down := broken(errNetwork)
	reset := broken(fmt.Errorf("read: %w", syscall.ECONNRESET))
	tests := map[string]struct {
		answers answers
		want    []float64 // seconds between polls
	}{
		"doubles to two minutes": {
			answers{down, down, down, down, down, down, down, down, down},
			[]float64{1, 2, 4, 8, 16, 32, 64, 120, 120, 10},
		},
		"begins again after a success": {answers{down, down, content(`{}`), down}, []float64{1, 2, 10, 1, 10}},
		"server error":                 {answers{status(500), status(502)}, []float64{1, 2, 10}},
		"a proxy without a server":     {answers{status(502), status(503), status(504), status(502), status(504)}, []float64{1, 2, 4, 8, 16, 10}},
		"client error":                 {answers{status(400), status(404)}, []float64{1, 2, 10}},
		"retry after, seconds":         {answers{status(503, "Retry-After", "20")}, []float64{21, 10}},
		"retry after on 429":           {answers{status(429, "Retry-After", "5")}, []float64{6, 10}},
		"retry after, date":            {answers{status(503, "Retry-After", "Sat, 01 Jan 2000 00:00:30 GMT")}, []float64{31, 10}},
		"retry after, past":            {answers{status(503, "Retry-After", "Sat, 01 Jan 1999 00:00:30 GMT")}, []float64{1, 10}},
		"retry after, too long":        {answers{status(503, "Retry-After", "86400")}, []float64{301, 10}},
		"retry after, nonsense":        {answers{status(503, "Retry-After", "-3")}, []float64{1, 10}},
		"retry after, elsewhere":       {answers{status(500, "Retry-After", "20")}, []float64{1, 10}},
		"kept-alive connection reset":  {answers{content(`{}`), reset}, []float64{10, 0, 10}},
		"refused twice":                {answers{broken(syscall.ECONNREFUSED), broken(syscall.ECONNREFUSED)}, []float64{0, 1, 10}},
		"malformed answer":             {answers{content(`{"deployments":[`)}, []float64{1, 10}},
		"wrong type":                   {answers{content(`{"deployments":[7]}`)}, []float64{1, 10}},
		"endless answer":               {answers{endless}, []float64{1, 10}},
		"redirect":                     {answers{status(302, "Location", "http://elsewhere.test/")}, []float64{1, 10}},
		"refused once":                 {answers{status(401), status(403)}, []float64{1, 2, 10}},
		"interval, too short":          {answers{content(`{"poll_interval_seconds":0}`), status(304, "Watchbill-Poll-Interval", "0.0001")}, []float64{10, 0.5, 10}},
		"interval, in the body":        {answers{content(`{"poll_interval_seconds":3}`)}, []float64{3, 10}},
		"interval, too long":           {answers{status(304, "Watchbill-Poll-Interval", "1e300")}, []float64{7200, 10}},
		"interval, nonsense":           {answers{status(304, "Watchbill-Poll-Interval", "NaN"), status(304, "Watchbill-Poll-Interval", "-1")}, []float64{10, 10, 10}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				server.fault = respond(tt.answers...)
				start(t, config(server, agent.RunnerFunc(idle)))
				for len(server.polls()) <= len(tt.want) {
					time.Sleep(time.Second)
				}
				wantGaps(t, server.polls(), tt.want...)
			})
		})
	}
}

func endless() (*reply, error) {
	return &reply{http.StatusOK, http.Header{}, spaces{}}, nil
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestTokenOfAnotherAgentIsFatal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		server.fault = func(*http.Request) (*reply, error) { return status(http.StatusForbidden)() }
		a, err := agent.New(config(server, agent.RunnerFunc(idle)))
		if err != nil {
			t.Fatal(err)
		}
		err = a.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "refuses this agent's id") || !strings.Contains(err.Error(), "403") {
			t.Errorf("got %v, want an error that says so", err)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("the error shows the token: %v", err)
		}
		wantGaps(t, server.polls(), 1, 2)
	})
}

// Values of an invalid offer must not reach a path or an environment.
func TestMalformedOffersAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		server.fault = respond(content(`{"deployments":[
			{"id":"..","attempt":1,"lease_seconds":60},
			{"id":"","attempt":1,"lease_seconds":60},
			{"id":"a/b","attempt":1,"lease_seconds":60},
			{"id":"a\u0000b","attempt":1,"lease_seconds":60},
			{"id":"ok","attempt":0,"lease_seconds":60},
			{"id":"` + strings.Repeat("x", 10_000) + `","attempt":1}]}`))
		start(t, config(server, agent.RunnerFunc(idle)))
		settle(time.Minute)
		if got := server.requests(http.MethodPost, ""); len(got) > 0 {
			t.Errorf("got %v, want no request but polls", got)
		}
	})
}
