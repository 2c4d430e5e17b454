package telemetry

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// latencySpread walks over latencies as a server sees them, so that no benchmark hits one bucket only.
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
	logs := newTestLogs(b, LogOptions{Dir: b.TempDir(), Stdout: io.Discard})
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

func BenchmarkRequestLine(b *testing.B) {
	line := RequestLine{
		Method: "GET", Route: "/api/deployments/pending/{agent_id}", Path: "/api/deployments/pending/agent-0001?wait=30s",
		Status: 200, Duration: time.Millisecond, BytesOut: 120, RequestID: "0198c9a2-7d5b-7cc1-9c7e-0d4c4a1f7f10",
		AgentID: "agent-0001", Remote: "10.1.2.3:45678",
	}
	for _, bench := range []struct {
		name string
		idle bool
	}{{"written", false}, {"dropped", true}} {
		b.Run(bench.name, func(b *testing.B) {
			logs := newTestLogs(b, LogOptions{Stdout: io.Discard, Secrets: []string{"an-admin-token", "an-enrolment-token"}})
			l := NewRequestLogger(logs, time.Now)
			l.idle.every = 1 << 30
			line.Idle = bench.idle
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					l.Log(line)
				}
			})
		})
	}
}

// BenchmarkRequestLineToPipe has somebody read the lines, as the runtime of a container does.
func BenchmarkRequestLineToPipe(b *testing.B) {
	reader, writer, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, reader) })
	logs := newTestLogs(b, LogOptions{Stdout: writer})
	l := NewRequestLogger(logs, time.Now)
	line := RequestLine{
		Method: "GET", Route: "/api/agents/{agent_id}", Path: "/api/agents/agent-0001", Status: 200, Duration: time.Millisecond,
		BytesOut: 120, RequestID: "0198c9a2-7d5b-7cc1-9c7e-0d4c4a1f7f10", Remote: "10.1.2.3:45678",
	}
	b.ReportAllocs()
	for b.Loop() {
		l.Log(line)
	}
	if err := errors.Join(logs.Close(), writer.Close()); err != nil {
		b.Error(err)
	}
	reading.Wait()
}

func BenchmarkRedactText(b *testing.B) {
	for name, text := range map[string]string{
		"plain": "agent is late, its deployments go back to pending",
		"colon": "10.1.2.3:45678",
		"token": "GET /api/agents?admin_token=abcdefghijklmnop refused",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				RedactText(text)
			}
		})
	}
}

// BenchmarkRedactPath has a path as long as any that is looked at, plain and of words that patterns begin with.
func BenchmarkRedactPath(b *testing.B) {
	r := newRedactor([]string{"an-admin-token", "an-enrolment-token"})
	for _, bench := range []struct{ name, part string }{
		{"plain", "abcdefg/"}, {"bearer", "bearer+"}, {"token", "token="}, {"encoded", "%25"}, {"url", "https://"}, {"agent", "wba_wba_"},
	} {
		path := "/x?" + strings.Repeat(bench.part, 4090/len(bench.part))
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.sentURL(path, maxPathLine)
			}
		})
	}
}
