package metrics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// flusherTest runs a flusher from ten seconds past twelve o'clock, in the time of a synctest bubble.
type flusherTest struct {
	*testing.T
	reg     *prometheus.Registry
	rec     *Recorder
	queries *QueryObserver
	route   *Route
	store   *fakeStore
	logged  *observer.ObservedLogs
	skew    atomic.Int64 // the clock's error, in nanoseconds
	pool    func() PoolSample
	stop    func() error
}

func runFlusher(t *testing.T, change func(*flusherTest), test func(*flusherTest)) {
	synctest.Test(t, func(t *testing.T) {
		core, logged := observer.New(zap.DebugLevel)
		reg := prometheus.NewRegistry()
		ft := &flusherTest{
			T: t, reg: reg, rec: NewRecorder(reg, epoch), queries: NewQueryObserver(reg, zap.NewNop(), epoch),
			store: &fakeStore{minutes: make(map[time.Time]MinuteRollup)}, logged: logged,
		}
		ft.route = ft.rec.Route("GET", "/x")
		if change != nil {
			change(ft)
		}
		offset := time.Until(epoch)
		f := NewFlusher(reg, FlusherOptions{
			Recorder: ft.rec, Queries: ft.queries, Store: ft.store, Replica: "r1", Log: zap.New(core), Pool: ft.pool,
			Now: func() time.Time { return time.Now().Add(offset + time.Duration(ft.skew.Load())) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- f.Run(ctx) }()
		ft.stop = sync.OnceValue(func() error {
			cancel()
			return <-result
		})
		defer func() { _ = ft.stop() }()
		synctest.Wait()
		test(ft)
	})
}

// at sleeps until a time after twelve o'clock and waits for what is due then.
func (ft *flusherTest) at(sinceTwelve time.Duration) {
	time.Sleep(time.Until(bubbleEpoch.Add(sinceTwelve - 10*time.Second)))
	synctest.Wait()
}

// bubbleEpoch is the start time of a synctest bubble.
var bubbleEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (ft *flusherTest) observe() { ft.route.Observe(200, time.Millisecond, 1, 2) }

func (ft *flusherTest) wantRequests(want ...int64) {
	ft.Helper()
	for m, n := range want {
		if got := ft.store.requests(m); got != n {
			ft.Errorf("minute %d has %d requests, want %d", m, got, n)
		}
	}
}

func TestFlusherKeepsMinutesApart(t *testing.T) {
	runFlusher(t, nil, func(ft *flusherTest) {
		ft.at(15 * time.Second)
		ft.observe()
		ft.wantRequests(0)
		ft.at(20 * time.Second)
		ft.wantRequests(1)
		ft.at(59*time.Second + 999*time.Millisecond)
		ft.observe()
		ft.at(60 * time.Second)
		ft.observe()
		ft.wantRequests(2, 0)
		ft.at(70 * time.Second)
		ft.wantRequests(2, 1)
		if got := ft.store.covered(0); got != 50*time.Second {
			ft.Errorf("minute 0 is covered for %v, want from 12:00:10 on", got)
		}
		if got := ft.store.covered(1); got != 10*time.Second {
			ft.Errorf("minute 1 is covered for %v, want 10s so far", got)
		}
		ft.at(75 * time.Second)
		ft.observe()
		if err := ft.stop(); err != nil {
			ft.Errorf("Run: %v", err)
		}
		ft.wantRequests(2, 2)
		if got := ft.store.covered(1); got != 15*time.Second {
			ft.Errorf("minute 1 is covered for %v in the end, want 15s", got)
		}
	})
}

func TestFlusherWritesEverything(t *testing.T) {
	var sample PoolSample
	var mu sync.Mutex
	set := func(s PoolSample) {
		mu.Lock()
		defer mu.Unlock()
		sample = s
	}
	set(PoolSample{Max: 10, Acquires: 1000, EmptyAcquires: 100, AcquireWait: time.Hour}) // before Run
	runFlusher(t, func(ft *flusherTest) {
		ft.pool = func() PoolSample {
			mu.Lock()
			defer mu.Unlock()
			return sample
		}
	}, func(ft *flusherTest) {
		ft.rec.Route("POST", "/a").Observe(201, 3*time.Millisecond, 10, 20)
		ft.rec.Route("GET", "/a").Observe(503, 5*time.Millisecond, 30, 40)
		ft.rec.Route("GET", "/unused")
		ft.queries.ObserveQuery("B", time.Second, nil, "")
		ft.queries.ObserveQuery("A", time.Second, errors.New("x"), "")
		ft.rec.Poll(PollUnauthorized)
		ft.rec.Poll(PollUnavailable)
		ft.rec.Poll(PollDelivered)
		set(PoolSample{Max: 10, InUse: 8, Acquires: 1010, EmptyAcquires: 101, AcquireWait: time.Hour + time.Second})
		ft.at(12500 * time.Millisecond) // two samples
		set(PoolSample{Max: 12, InUse: 2, Acquires: 5, EmptyAcquires: 0})
		ft.at(20500 * time.Millisecond)
		got := ft.store.minute(0)

		want := "GET /a map[503:1] 30 40, POST /a map[201:1] 10 20"
		var requests []string
		for _, r := range got.Requests {
			requests = append(requests, fmt.Sprint(r.Method, " ", r.Route, " ", r.ByStatus, " ", r.BytesIn, " ", r.BytesOut))
		}
		if s := strings.Join(requests, ", "); s != want {
			ft.Errorf("requests %s, want %s", s, want)
		}
		if p99, _ := decodeSketch(ft.T, got.Requests[1].Sketch).Quantile(0.99); p99 < .00297 || p99 > .00303 {
			ft.Errorf("p99 of POST /a is %v, want 3 ms within 1 %%", p99)
		}
		if q := got.Queries; len(q) != 2 || q[0].Name != "A" || q[0].Count != 1 || q[0].Errors != 1 || q[1].Name != "B" || q[1].Errors != 0 {
			ft.Errorf("queries %+v, want A, which failed, and B", q)
		}
		if want := (PollRollup{Delivered: 1, Failed: 2}); got.Polls != want {
			ft.Errorf("polls %+v, want %+v", got.Polls, want)
		}
		if p := got.Pool; p.Max != 12 || p.Peak != 8 || p.Samples < 9 || p.InUseSum != 16+2*(p.Samples-2) ||
			p.Acquires != 10 || p.EmptyAcquires != 1 || p.WaitSeconds != 1 {
			ft.Errorf("pool %+v", p)
		}
		if n := len(got.Requests); n != 2 {
			ft.Errorf("%d routes, want those that were used", n)
		}
	})
}

func TestFlusherRetries(t *testing.T) {
	down := errors.New("connection refused")
	runFlusher(t, func(ft *flusherTest) {
		ft.store.before = func(context.Context) error { return down }
	}, func(ft *flusherTest) {
		ft.observe()
		ft.at(25*time.Minute + 5*time.Second)
		ft.observe()
		ft.wantRequests(0)
		ft.store.behave(nil)
		ft.at(25*time.Minute + 10*time.Second)
		ft.wantRequests(1)
		if got := ft.store.requests(25); got != 1 {
			ft.Errorf("the running minute has %d requests, want 1", got)
		}
		_, writes := ft.store.count()
		if got, want := fmt.Sprint(writes), "[10 10 6]"; got != want {
			ft.Errorf("minutes written: %s, want %s", got, want)
		}
		if ft.logged.FilterMessageSnippet("cannot write rollups").Len() != 1 || ft.logged.FilterMessageSnippet("written again").Len() != 1 {
			ft.Errorf("logged %v, want one line for each change", ft.logged.All())
		}
		checkSeries(ft.T, ft.reg, "watchbill_rollups", map[string]float64{"watchbill_rollups_dropped_total{}": 0})
	})
}

func TestFlusherDropsTheOldest(t *testing.T) {
	runFlusher(t, func(ft *flusherTest) {
		ft.store.before = func(context.Context) error { return errors.New("connection refused") }
	}, func(ft *flusherTest) {
		ft.at(63*time.Minute + 5*time.Second)
		checkSeries(ft.T, ft.reg, "watchbill_rollups", map[string]float64{"watchbill_rollups_dropped_total{}": 3})
		ft.store.behave(nil)
		ft.at(63*time.Minute + 20*time.Second)
		if minutes, _ := ft.store.count(); minutes != 61 || ft.store.covered(2) != 0 || ft.store.covered(3) != time.Minute {
			ft.Errorf("%d minutes were kept, want the last 60 and the running one", minutes)
		}
	})
}

func TestFlusherAfterAnUnknownOutcome(t *testing.T) {
	runFlusher(t, func(ft *flusherTest) {
		ft.store.after = func() error { return errors.New("connection lost after the commit") }
	}, func(ft *flusherTest) {
		ft.observe()
		ft.at(65 * time.Second)
		ft.store.behave(nil)
		ft.observe()
		ft.at(70 * time.Second)
		ft.wantRequests(1, 1)
	})
}

// TestFlusherWriteAcrossAMinutesEnd checks that a minute's last state is written even if an earlier one was being
// written when the minute ended.
func TestFlusherWriteAcrossAMinutesEnd(t *testing.T) {
	var release chan struct{}
	runFlusher(t, func(ft *flusherTest) {
		release = make(chan struct{})
		ft.store.before = func(ctx context.Context) error {
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return nil // written after all
			}
		}
	}, func(ft *flusherTest) {
		ft.observe()
		ft.at(57 * time.Second) // the write of :50 hangs until :58
		ft.observe()
		ft.at(60 * time.Second) // the write of 1:00, with the whole minute, until 1:08
		ft.observe()
		ft.at(75 * time.Second)
		close(release)
		ft.at(80 * time.Second)
		ft.wantRequests(2, 1)
	})
}

func TestFlusherSamplesThePoolWhileAWriteHangs(t *testing.T) {
	runFlusher(t, func(ft *flusherTest) {
		ft.pool = func() PoolSample { return PoolSample{Max: 5, InUse: 5} }
		ft.store.before = hang
	}, func(ft *flusherTest) {
		ft.at(60500 * time.Millisecond)
		ft.store.behave(nil)
		ft.at(80 * time.Second)
		if got := ft.store.minute(0).Pool; got.Samples < 49 {
			ft.Errorf("pool sampled %d times in 50 seconds", got.Samples)
		}
	})
}

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFlusherStopsInTime(t *testing.T) {
	for name, hangFrom := range map[string]time.Duration{"last write hangs": 30 * time.Second, "a write hangs already": 15 * time.Second} {
		t.Run(name, func(t *testing.T) {
			runFlusher(t, nil, func(ft *flusherTest) {
				ft.at(hangFrom)
				ft.store.behave(hang)
				ft.at(30500 * time.Millisecond)
				begun := time.Now()
				if err := ft.stop(); err == nil {
					ft.Error("Run: no error though the last rollups were lost")
				}
				if took := time.Since(begun); took != stopTimeout {
					ft.Errorf("stopping took %v, want %v", took, stopTimeout)
				}
			})
		})
	}
}

func TestFlusherStopWritesTheBacklog(t *testing.T) {
	runFlusher(t, func(ft *flusherTest) {
		ft.store.before = func(context.Context) error { return errors.New("connection refused") }
	}, func(ft *flusherTest) {
		ft.at(30*time.Minute + 5*time.Second)
		ft.observe()
		ft.store.behave(nil)
		if err := ft.stop(); err != nil {
			ft.Errorf("Run: %v", err)
		}
		if minutes, _ := ft.store.count(); minutes != 31 || ft.store.requests(30) != 1 {
			ft.Errorf("%d minutes written, want all 31", minutes)
		}
	})
}

func TestFlusherWhenTheClockJumps(t *testing.T) {
	t.Run("back", func(t *testing.T) {
		runFlusher(t, nil, func(ft *flusherTest) {
			ft.at(65 * time.Second)
			ft.observe()
			ft.skew.Store(int64(-30 * time.Second)) // 12:00:35 again
			ft.at(100 * time.Second)
			ft.observe()
			ft.at(150 * time.Second)
			// Minute 0 was written and does not change; minute 1 continues once the clock has caught up.
			ft.wantRequests(0, 2)
			if got := ft.store.covered(0); got != 50*time.Second {
				ft.Errorf("minute 0 is covered for %v, want 50s as before", got)
			}
			if got := ft.store.covered(1); got != time.Minute {
				ft.Errorf("minute 1 is covered for %v, want a minute", got)
			}
		})
	})
	t.Run("forward", func(t *testing.T) {
		runFlusher(t, nil, func(ft *flusherTest) {
			ft.at(15 * time.Second)
			ft.observe()
			ft.skew.Store(int64(10 * 365 * 24 * time.Hour))
			ft.at(45 * time.Second)
			ft.wantRequests(1)
			if got, _ := ft.store.count(); got != 2 {
				ft.Errorf("%d minutes written, want the one before and the one after the jump", got)
			}
		})
	})
}
