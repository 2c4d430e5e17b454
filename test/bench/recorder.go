package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/test/rig"
)

// recorderOverhead returns the part of an idle poll's CPU time that counting it takes: the time that the recorder needs
// for a poll, measured alone on all processors, divided by the server's CPU time per poll. Comparing the server with one
// that does not count shows less: the difference is smaller than the noise.
func recorderOverhead(ctx context.Context, b *bench) (_ []figure, err error) {
	const agents = 10_000
	i, err := b.install(ctx, "recorder", agents)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	server := &contender{process: i.server.Process}
	if server.pollers, err = dialPollers(ctx, i.server.Address, floodWorkers, agents, nothingNew); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.pollers.close()) }()
	var costs []float64
	for round := range or(b, 6, 3) {
		_, cost, err := server.measure(ctx, or(b, 5*time.Second, time.Second/2))
		if err != nil {
			return nil, err
		}
		if round > 0 { // the first warms up
			costs = append(costs, cost)
		}
	}
	if err := pollsCounted(ctx, i.server); err != nil {
		return nil, err
	}
	counting := testing.Benchmark(countPolls)
	seconds := counting.T.Seconds() / float64(counting.N) * float64(runtime.GOMAXPROCS(0))
	b.logf("counting a poll takes %.0f ns of CPU time; a poll takes %.1f µs", seconds*1e9, median(costs)*1e6)
	return []figure{{"recorder_overhead", seconds / median(costs) * 100, "%", atMost(4)}}, nil
}

// countPolls counts idle polls on all processors at once, as the server does for each.
func countPolls(b *testing.B) {
	recorder := metrics.NewRecorder(prometheus.NewRegistry(), time.Now())
	route := recorder.Route(http.MethodGet, "/api/deployments/pending/{agent_id}")
	b.RunParallel(func(pb *testing.PB) {
		for n := 0; pb.Next(); n++ {
			recorder.Poll(metrics.PollNotModified)
			// A realistic spread, so that not all latencies fall into one bucket.
			route.Observe(http.StatusNotModified, time.Duration(n&1023+1)*37*time.Microsecond, 0, 0)
		}
	})
}

// pollsCounted returns an error if the server has counted no polls: then its CPU time has no share of counting.
func pollsCounted(ctx context.Context, server *rig.Server) error {
	figures, err := server.Metrics(ctx)
	if err != nil {
		return err
	}
	for series, value := range figures {
		if strings.HasPrefix(series, "watchbill_polls_total{") && value > 0 {
			return nil
		}
	}
	return fmt.Errorf("%s has counted no polls", server.Address)
}
