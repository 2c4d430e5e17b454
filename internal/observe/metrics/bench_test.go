package metrics

import (
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/observe/logging"
)

// latencySpread returns the ith of a realistic spread of latencies, so that benchmarks do not hit only one bucket.
func latencySpread(i int) time.Duration { return time.Duration(i&1023+1) * 37 * time.Microsecond }

func BenchmarkObserve(b *testing.B) {
	rt := NewRecorder(prometheus.NewRegistry(), epoch).Route("GET", "/api/deployments/pending/{agent_id}")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rt.Observe(200, latencySpread(i), 10, 100)
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	rt := NewRecorder(prometheus.NewRegistry(), epoch).Route("GET", "/api/deployments/pending/{agent_id}")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			rt.Observe(200, latencySpread(i), 10, 100)
		}
	})
}

func BenchmarkPollParallel(b *testing.B) {
	rec := NewRecorder(prometheus.NewRegistry(), epoch)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			rec.Poll(PollNotModified)
		}
	})
}

func BenchmarkObserveQueryUnlogged(b *testing.B) {
	o := NewQueryObserver(prometheus.NewRegistry(), zap.NewNop(), epoch)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			o.ObserveQuery("ListPending", latencySpread(i), nil, "")
		}
	})
}

func BenchmarkObserveQueryLogged(b *testing.B) {
	logs := newTestLogs(b, logging.Options{Dir: b.TempDir(), Stdout: io.Discard})
	o := NewQueryObserver(prometheus.NewRegistry(), logs.Queries, epoch)
	b.ReportAllocs()
	for b.Loop() {
		o.ObserveQuery("ListPending", time.Millisecond, nil, "")
	}
}

func BenchmarkDrain(b *testing.B) {
	rec := NewRecorder(prometheus.NewRegistry(), epoch)
	routes := make([]*Route, 30)
	for i := range routes {
		routes[i] = rec.Route("GET", string(rune('a'+i)))
	}
	for b.Loop() {
		for i, rt := range routes {
			rt.Observe(200, latencySpread(i), 0, 0)
		}
		rec.drain(newMinute(epoch))
	}
}
