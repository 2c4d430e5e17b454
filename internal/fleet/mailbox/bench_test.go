package mailbox_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// bigFleet is a source of many generated agents with nothing pending.
type bigFleet int

func (n bigFleet) token(i int) string { return fmt.Sprintf("%s%043d", fleet.TokenPrefix, i) }

func (n bigFleet) Sweep(_ context.Context, since string, _ []string, into mailbox.Sink) (string, error) {
	if since == "" {
		into.Full()
		for i := range int(n) {
			into.Agent(fmt.Sprintf("agent-%08d", i), fleet.HashToken(n.token(i)), 10*time.Second, "")
		}
	}
	return "seen", nil
}

func (bigFleet) LookUpTokens(context.Context, []fleet.TokenHash) ([]fleet.TokenHash, error) {
	return nil, nil
}

func (bigFleet) SavePresence(context.Context, []mailbox.Sighting) error { return nil }

// bytesPerAgent fills a mailbox and returns the heap bytes per agent, including its id of 14 bytes.
func bytesPerAgent(tb testing.TB, agents int) float64 {
	tb.Helper()
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.GC() // frees what finalizers kept alive
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	m, stop := runUntilStopped(tb, bigFleet(agents), func(o *mailbox.Options) { o.SweepInterval = time.Hour })
	if err := m.Sync(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	stop()
	after := heap()
	if got := m.Health().Agents; got != agents {
		tb.Fatalf("want %d agents, got %d", agents, got)
	}
	runtime.KeepAlive(m)
	return float64(after-before) / float64(agents)
}

// TestMemory limits the memory of an agent so that a fleet of a million fits in 320 MiB including garbage.
func TestMemory(t *testing.T) {
	const limit = 168
	got := bytesPerAgent(t, 100_000)
	t.Logf("%.0f bytes an agent", got)
	if got > limit {
		t.Errorf("want at most %d bytes an agent, got %.0f", limit, got)
	}
}

func BenchmarkMemory(b *testing.B) {
	for _, agents := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(agents), func(b *testing.B) {
			var bytes float64
			for b.Loop() {
				bytes = bytesPerAgent(b, agents)
			}
			b.ReportMetric(bytes, "bytes/agent")
		})
	}
}

// BenchmarkCollection measures marking all agents once, which the collector does several times per second during polls.
func BenchmarkCollection(b *testing.B) {
	for _, agents := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(agents), func(b *testing.B) {
			m := run(b, bigFleet(agents), func(o *mailbox.Options) { o.SweepInterval = time.Hour })
			if err := m.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				runtime.GC()
			}
			runtime.KeepAlive(m)
		})
	}
}

// BenchmarkIdlePoll measures the mailbox's part of an idle poll: authenticate, mark as seen, view.
func BenchmarkIdlePoll(b *testing.B) {
	for _, agents := range []int{100, 100_000} {
		b.Run(strconv.Itoa(agents), func(b *testing.B) {
			source := bigFleet(agents)
			m := run(b, source)
			if err := m.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
			tokens := make([]string, agents)
			for i := range tokens {
				tokens[i] = source.token(i)
			}
			var pollers atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := int(pollers.Add(1)) * 7919; pb.Next(); i += 31 {
					a, err := m.Authenticate(b.Context(), tokens[i%agents])
					if err != nil {
						b.Error(err)
						return
					}
					m.MarkSeen(a, time.Now())
					if v, err := m.View(a); err != nil || !v.Fresh {
						b.Errorf("want fresh, got %+v, %v", v, err)
						return
					}
				}
			})
		})
	}
}
