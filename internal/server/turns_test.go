package server

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/testkit/await"
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

// An administrator's request for metrics is served while all computations for agents are busy.
func TestAgentsMetricsDoNotDelayAdministrators(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	for range cap(a.traffic.Tokened.Computing) {
		a.traffic.Tokened.Computing <- struct{}{}
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
	await.Until(t, "all of the agent's requests wait", func() bool { return len(a.traffic.Tokened.Waiting) >= asking })
	a.send(t, request{method: "GET", path: "/api/metrics?hours=1", token: adminToken}).want(http.StatusOK)
	a.send(t, request{method: "GET", path: "/api/agents", token: adminToken}).want(http.StatusOK)
	a.traffic.Tokened.Computing.Leave()
	for range asking {
		if got := <-asked; got != http.StatusOK {
			t.Errorf("an agent's: got %d", got)
		}
	}
}
