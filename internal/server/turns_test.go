package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/input"
)

// slowBody is a body that calls read before each Read.
type slowBody struct {
	io.Reader
	read func()
}

func (b slowBody) Read(p []byte) (int, error) {
	b.read()
	return b.Reader.Read(p)
}

// The recorded latency excludes the time that the client takes to send the body.
func TestLatencyExcludesClientTime(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	var passed atomic.Int64
	a := newAPI(t, func(o *Options) {
		o.Recorder = metrics.NewRecorder(registry, time.Now())
		o.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	})
	token := a.enroll(t, "a1")
	r := request{method: "POST", path: "/api/deployments/0192aaaa-0000-7000-8000-000000000000/status", token: token, body: "{}"}.http()
	r.Body = io.NopCloser(slowBody{strings.NewReader("{}"), func() { passed.Add(int64(10 * time.Second)) }})
	answer := httptest.NewRecorder()
	a.ServeHTTP(answer, r)
	if answer.Code != http.StatusUnprocessableEntity && answer.Code != http.StatusBadRequest {
		t.Fatalf("got %d %s", answer.Code, answer.Body)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if sum := m.GetHistogram().GetSampleSum(); family.GetName() == "watchbill_http_request_duration_seconds" && sum >= 10 {
				t.Errorf("%v: latencies of %v s, want none of the client's", m.GetLabel(), sum)
			}
		}
	}
}

// Of an agent's requests maxAtDatabase are admitted, maxWaitingOfAgent wait and more are rejected. Another agent does
// not wait.
func TestRequestsOfOneAgentAreQueued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		results := make(chan error, maxAtDatabase+maxWaitingOfAgent)
		ctx, cancel := context.WithCancel(t.Context())
		for range cap(results) {
			go func() { results <- turns.enter(ctx, "a1") }()
		}
		synctest.Wait()
		if got := len(results); got != maxAtDatabase {
			t.Fatalf("%d are let through, want %d", got, maxAtDatabase)
		}
		if err := turns.enter(ctx, "a1"); !errors.Is(err, errAgentBusy) {
			t.Errorf("one too many: got %v", err)
		}
		if err := turns.enter(ctx, "a2"); err != nil {
			t.Errorf("another agent: got %v", err)
		}
		turns.leave("a2")
		turns.leave("a1")
		synctest.Wait()
		if got := len(results); got != maxAtDatabase+1 {
			t.Errorf("after one has left %d were let through, want %d", got, maxAtDatabase+1)
		}
		cancel()
		synctest.Wait()
		for range maxAtDatabase {
			turns.leave("a1")
		}
		if len(results) != cap(results) || len(turns.agents) != 0 {
			t.Errorf("%d of %d ended, %d agents are left", len(results), cap(results), len(turns.agents))
		}
	})
}

// An enrollment token that has used up its share is rejected, which does not count as a failure of the service. Another
// token is served.
func TestBodyBudgetPerEnrollmentToken(t *testing.T) {
	t.Parallel()
	b := newBudget(DefaultBodyMemory)
	one := (&exchange{caller: caller{grant: &fleet.Grant{Token: fleet.HashToken("one")}}}).share()
	other := (&exchange{caller: caller{grant: &fleet.Grant{Token: fleet.HashToken("other")}}}).share()
	for i := range maxEnrolShare / 2 / input.MaxSmallBody {
		if err := b.take(one, input.MaxSmallBody); err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
	}
	if got := b.take(one, input.MaxSmallBody); got != errShareUsed {
		t.Errorf("one body too many: got %v, want %v", got, errShareUsed)
	}
	if err := b.take(other, input.MaxSmallBody); err != nil {
		t.Errorf("another token: got %v", err)
	}
}

// An administrator's request for metrics is served while all computations for agents are busy.
func TestAgentsMetricsDoNotDelayAdministrators(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	for range cap(a.tokened.computing) {
		a.tokened.computing <- struct{}{}
	}
	asked := make(chan int)
	const asking = 16
	for i := range asking {
		go func() {
			w := httptest.NewRecorder()
			a.ServeHTTP(w, request{method: "GET", path: fmt.Sprint("/api/metrics?hours=", 1000+i), token: token}.http())
			asked <- w.Code
		}()
	}
	for end := time.Now().Add(10 * time.Second); len(a.tokened.waiting) < asking; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of the agent's requests wait, want %d", len(a.tokened.waiting), asking)
		}
	}
	a.send(t, request{method: "GET", path: "/api/metrics?hours=1", token: adminToken}).want(http.StatusOK)
	a.send(t, request{method: "GET", path: "/api/agents", token: adminToken}).want(http.StatusOK)
	a.tokened.computing.leave()
	for range asking {
		if got := <-asked; got != http.StatusOK {
			t.Errorf("an agent's: got %d", got)
		}
	}
}
