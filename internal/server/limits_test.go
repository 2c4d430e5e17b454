package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// limitedServer returns a Server that has only rate limits, and its clock.
func limitedServer(t *testing.T, rules ...string) (*Server, *time.Time) {
	t.Helper()
	limits, err := ratelimit.Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	shared := &endpoint.Shared{Jitter: func() float64 { return 0.99 }, Now: func() time.Time { return now }}
	shared.Limiter = ratelimit.New(ratelimit.Options{Limits: limits, Now: shared.Now})
	return &Server{shared: shared}, &now
}

// admitted returns the response to a request for which ask checks the limits.
func (s *Server) admitted(ask func(x *endpoint.Exchange) error) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	x := &endpoint.Exchange{ResponseWriter: recorder, Request: httptest.NewRequest(http.MethodPost, "/", http.NoBody), Shared: s.shared}
	if err := ask(x); err != nil {
		s.fail(x, err)
	} else {
		x.WriteHeader(http.StatusNoContent)
	}
	return recorder
}

func TestLimitHeaders(t *testing.T) {
	t.Parallel()
	type answer struct {
		Status                    int
		Policy, State, RetryAfter string
		Detail                    string
	}
	type step struct {
		scope ratelimit.Scope
		who   ratelimit.Subject
		n     int
		later time.Duration // since the previous step
		want  answer
	}
	const gateway, ingest = ratelimit.Gateway, ratelimit.Ingest
	u := ratelimit.Subject{User: "u", Agent: "a", Token: [32]byte{1}}
	for name, tt := range map[string]struct {
		rules []string
		steps []step
	}{
		"a limit": {[]string{"gateway/user=60/m"}, []step{
			{gateway, u, 1, 0, answer{204, `"user";q=60;w=60`, `"user";r=59;t=1`, "", ""}},
			{gateway, u, 59, 0, answer{204, `"user";q=60;w=60`, `"user";r=0;t=1`, "", ""}},
			{gateway, u, 1, 0, answer{429, `"user";q=60;w=60`, `"user";r=0;t=1`, "1", "the limit gateway/user=60/m is reached; try again in 1 s"}},
			{gateway, u, 3, 999 * time.Millisecond, answer{429, `"user";q=60;w=60`, `"user";r=0;t=1`, "3", "the limit gateway/user=60/m is reached; try again in 3 s"}},
			{gateway, u, 1, time.Millisecond, answer{204, `"user";q=60;w=60`, `"user";r=0;t=1`, "", ""}},
			{gateway, u, 0, time.Hour, answer{204, `"user";q=60;w=60`, `"user";r=60`, "", ""}},
		}},
		"by the day": {[]string{"gateway/agent=24/d:burst=2"}, []step{
			{gateway, u, 2, 0, answer{204, `"agent";q=24;w=86400;watchbill-burst=2`, `"agent";r=0;t=3600`, "", ""}},
			{gateway, u, 1, time.Minute, answer{429, `"agent";q=24;w=86400;watchbill-burst=2`, `"agent";r=0;t=3540`, "3540", "the limit gateway/agent=24/d:burst=2 is reached; try again in 3540 s"}},
		}},
		"executions": {[]string{"ingest/token=5000/s:burst=20000", "ingest=7/h"}, []step{
			{ingest, u, 1, 0, answer{
				204, `"token";q=5000;w=1;watchbill-burst=20000;watchbill-unit="executions", "all";q=7;w=3600;watchbill-unit="executions"`,
				`"token";r=19999;t=1, "all";r=6;t=515`, "", "",
			}},
			{ingest, u, 8, 0, answer{
				429, `"token";q=5000;w=1;watchbill-burst=20000;watchbill-unit="executions", "all";q=7;w=3600;watchbill-unit="executions"`,
				`"token";r=19999;t=1, "all";r=6;t=515`, "515", "the limit ingest=7/h admits at most 7 at once: split the batch",
			}},
			{ingest, u, 8, time.Hour, answer{
				429, `"token";q=5000;w=1;watchbill-burst=20000;watchbill-unit="executions", "all";q=7;w=3600;watchbill-unit="executions"`,
				`"token";r=20000, "all";r=7`, "1", "the limit ingest=7/h admits at most 7 at once: split the batch",
			}},
		}},
		"two of a kind": {[]string{"gateway/user=2/s", "gateway/user=2/h", "gateway/token=9/s"}, []step{
			{gateway, u, 2, 0, answer{204, `"user:2/s";q=2;w=1, "user:2/h";q=2;w=3600, "token";q=9;w=1`, `"user:2/s";r=0;t=1, "user:2/h";r=0;t=1800, "token";r=7;t=1`, "", ""}},
			{gateway, u, 1, 0, answer{429, `"user:2/s";q=2;w=1, "user:2/h";q=2;w=3600, "token";q=9;w=1`, `"user:2/s";r=0;t=1, "user:2/h";r=0;t=1800, "token";r=7;t=1`, "1800", "the limit gateway/user=2/h is reached; try again in 1800 s"}},
			{gateway, ratelimit.Subject{Token: u.Token}, 0, 0, answer{204, `"token";q=9;w=1`, `"token";r=7;t=1`, "", ""}}, // only limits that apply
		}},
		"none that applies": {[]string{"gateway/user=60/m"}, []step{
			{ingest, u, 1000, 0, answer{204, "", "", "", ""}},
			{gateway, ratelimit.Subject{Agent: "a"}, 1000, 0, answer{204, "", "", "", ""}},
		}},
	} {
		s, now := limitedServer(t, tt.rules...)
		for i, step := range tt.steps {
			*now = now.Add(step.later)
			r := s.admitted(func(x *endpoint.Exchange) error { return x.Admit(step.scope, step.who, step.n) })
			got := answer{r.Code, r.Header().Get("RateLimit-Policy"), r.Header().Get("RateLimit"), r.Header().Get("Retry-After"), ""}
			if r.Code == http.StatusTooManyRequests {
				var p openapi.Problem
				if err := json.Unmarshal(r.Body.Bytes(), &p); err != nil || p.Code != "rate_limited" || p.Status != http.StatusTooManyRequests {
					t.Errorf("%s, step %d: got %s, %v", name, i, r.Body, err)
				}
				got.Detail = p.Detail
			}
			if diff := cmp.Diff(step.want, got); diff != "" {
				t.Errorf("%s, step %d (-want +got):\n%s", name, i, diff)
			}
		}
	}
}

func TestNoLimiterAdmitsEverything(t *testing.T) {
	t.Parallel()
	s := &Server{shared: &endpoint.Shared{Now: time.Now}}
	if r := s.admitted(func(x *endpoint.Exchange) error {
		return x.Admit(ratelimit.Ingest, ratelimit.Subject{User: "u"}, 1<<40)
	}); r.Code != http.StatusNoContent || len(r.Header()) != 0 {
		t.Errorf("got %d, %v", r.Code, r.Header())
	}
}

// A client that waits for exactly Retry-After is admitted.
func TestRetryAfterMatchesAdmission(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"gateway/user=7/s:burst=20", "gateway/user=7/m", "gateway/user=11/h", "gateway/user=13/d"} {
		s, now := limitedServer(t, rule)
		ask := func(n int) *httptest.ResponseRecorder {
			return s.admitted(func(x *endpoint.Exchange) error { return x.Admit(ratelimit.Gateway, ratelimit.Subject{User: "u"}, n) })
		}
		for i := range 40 {
			n := 1 + i%5
			r := ask(n)
			if r.Code == http.StatusNoContent {
				continue
			}
			wait, err := time.ParseDuration(r.Header().Get("Retry-After") + "s")
			if err != nil || wait < time.Second {
				t.Fatalf("%s: Retry-After is %q", rule, r.Header().Get("Retry-After"))
			}
			*now = now.Add(wait)
			if r := ask(n); r.Code != http.StatusNoContent {
				t.Errorf("%s: %d after %s: got %d, %v", rule, n, wait, r.Code, r.Header())
			}
		}
	}
}

func TestPreDecodedExecutionsAreLimited(t *testing.T) {
	t.Parallel()
	s, _ := limitedServer(t, "ingest/user=3/m", "ingest/token=10/m")
	of := func(users ...string) []execution.Execution {
		var all []execution.Execution
		for _, user := range users {
			all = append(all, execution.Execution{UserID: user, AgentName: "a"})
		}
		return all
	}
	for i, tt := range []struct {
		users             []string
		want              string // error
		state, retryAfter string
	}{
		{[]string{"u", "v", "u", "w"}, "", `"user";r=1;t=20, "token";r=6;t=6`, ""},
		{[]string{"v", "u", "u"}, "the limit ingest/user=3/m is reached; try again in 20 s", `"user";r=1;t=20, "token";r=6;t=6`, "20"},
		{[]string{"v", "v", "u"}, "", `"user";r=0;t=20, "token";r=3;t=6`, ""},
		{[]string{"w", "w", "w", "w"}, "the limit ingest/user=3/m admits at most 3 at once: split the batch", `"user";r=2;t=20, "token";r=3;t=6`, "20"},
		{nil, "", "", ""},
	} {
		recorder := httptest.NewRecorder()
		x := &endpoint.Exchange{ResponseWriter: recorder, Shared: s.shared, Caller: endpoint.Caller{Ingest: [32]byte{1}}}
		got := ""
		if err := execution.Admit(x.Admitting(t.Context()), of(tt.users...)); err != nil {
			got = err.Error()
		}
		if header := recorder.Header(); got != tt.want || header.Get("RateLimit") != tt.state || header.Get("Retry-After") != tt.retryAfter {
			t.Errorf("step %d: want %q, %s; got %q, %v", i, tt.want, tt.state, got, header)
		}
	}
}
