package logging

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

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
			logs := newTestLogs(b, Options{Stdout: io.Discard, Secrets: []string{"an-admin-token", "an-enrolment-token"}})
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

// BenchmarkRequestLineToPipe logs to a pipe that is being read, as by a container runtime.
func BenchmarkRequestLineToPipe(b *testing.B) {
	reader, writer, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, reader) })
	logs := newTestLogs(b, Options{Stdout: writer})
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

// BenchmarkRedactPath redacts a path of the maximum length, plain and of words that patterns begin with.
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
