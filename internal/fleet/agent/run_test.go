package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet/agent"
)

// forA returns work that takes d, unless it is stopped.
func forA(d time.Duration) agent.RunnerFunc {
	return func(ctx context.Context, _ agent.Work, _ io.Writer) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return errors.New("signal: terminated")
		}
	}
}

func TestRunsWhatIsOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		var got agent.Work
		start(t, config(server, agent.RunnerFunc(func(_ context.Context, w agent.Work, out io.Writer) error {
			got = w
			fmt.Fprint(out, "hello\x00\xff\n::progress 100% all of it\n")
			return nil
		})))
		settle(time.Second)

		if got.ID != "d1" || got.Attempt != 1 || string(got.Spec) != `{"image":"app:1"}` || !strings.Contains(string(got.JSON), `"created_at"`) {
			t.Errorf("the runner got %+v", got)
		}
		text, all := "hello\ufffd\ufffd\n::progress 100% all of it\n", 100.0
		want := []openapi.StatusReport{
			{Attempt: 1, Claim: "claim-1", Status: "running"},
			{Attempt: 1, Claim: "claim-1", Status: "succeeded", Output: text, Progress: &all, Message: "all of it"},
		}
		if diff := cmp.Diff(want, d.reports); diff != "" {
			t.Errorf("reports (-want +got):\n%s", diff)
		}
		if got := server.logOf(d); got != text {
			t.Errorf("got the log %q, want %q", got, text)
		}
	})
}

func TestOutcome(t *testing.T) {
	yes, no := true, false
	tests := map[string]struct {
		err           error
		wantStatus    openapi.StatusReportStatus
		wantRetryable *bool
		wantMessage   string
	}{
		"success":      {nil, "succeeded", nil, ""},
		"failure":      {errors.New("exit status 1"), "failed", &yes, "exit status 1"},
		"permanent":    {fmt.Errorf("run: %w", agent.Permanent(errors.New("no such image"))), "failed", &no, "run: no such image"},
		"long message": {errors.New(strings.Repeat("é", 5000)), "failed", &yes, strings.Repeat("é", 2048)},
		"odd message":  {errors.New("a\x00b\xff"), "failed", &yes, "a\ufffdb\ufffd"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				start(t, config(server, agent.RunnerFunc(func(context.Context, agent.Work, io.Writer) error { return tt.err })))
				settle(time.Second)
				got := server.last(d)
				if got.Status != tt.wantStatus || !cmp.Equal(got.Retryable, tt.wantRetryable) || got.Message != tt.wantMessage {
					t.Errorf("got %+v, want %+v", got, tt)
				}
			})
		})
	}
}

func TestRenewsAtAThirdOfTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		start(t, config(server, agent.RunnerFunc(func(_ context.Context, _ agent.Work, out io.Writer) error {
			time.Sleep(45 * time.Second)
			fmt.Fprintln(out, "::progress 42.5 pulling")
			time.Sleep(30 * time.Second)
			return nil
		})))
		settle(2 * time.Minute)
		var got []float64
		for i, r := range d.reports {
			if i > 0 {
				got = append(got, d.reportedAt[i].Sub(d.reportedAt[i-1]).Seconds())
			}
			if (r.Progress != nil) != (i > 2) || i > 2 && (*r.Progress != 42.5 || r.Message != "pulling") {
				t.Errorf("report %d: got %+v", i, r)
			}
		}
		// At 20, 40, for its progress at 50, at 70, and the last at 75.
		if diff := cmp.Diff([]float64{20, 20, 10, 20, 5}, got); diff != "" {
			t.Errorf("seconds between the reports (-want +got):\n%s", diff)
		}
		if n := len(server.polls()); n < 10 {
			t.Errorf("got %d polls in two minutes, want them to go on while work runs", n)
		}
	})
}

func TestClaims(t *testing.T) {
	isStatus := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/status") }
	tests := map[string]struct {
		prepare  func(*fakeServer, *fakeDeployment)
		wantRuns int
		wantPost int // status reports sent
	}{
		"refused": {
			func(s *fakeServer, d *fakeDeployment) {
				s.fault = func(r *http.Request) (*reply, error) {
					if isStatus(r) {
						s.set(d, "running", 1) // another run has it, and a replica that is behind still offers it
						d.claim = "another's"
					}
					return nil, nil
				}
			}, 0, 1,
		},
		"recorded but the answer lost": {
			func(s *fakeServer, _ *fakeDeployment) {
				n := 0
				s.lost = func(r *http.Request) bool {
					if !isStatus(r) {
						return false
					}
					n++
					return n == 1
				}
			}, 1, 3,
		},
		"not due yet": {
			func(s *fakeServer, _ *fakeDeployment) {
				n := 0
				s.fault = func(r *http.Request) (*reply, error) {
					if !isStatus(r) {
						return nil, nil
					}
					if n++; n <= 3 {
						return &reply{http.StatusConflict, http.Header{}, strings.NewReader(`{"code":"not_due"}`)}, nil
					}
					return nil, nil
				}
			}, 1, 5,
		},
		"unreachable for a while": {
			func(s *fakeServer, _ *fakeDeployment) {
				failures := 4
				s.fault = func(r *http.Request) (*reply, error) {
					if isStatus(r) && failures > 0 {
						failures--
						return nil, errNetwork
					}
					return nil, nil
				}
			}, 1, 6,
		},
		"unreachable for longer than a lease": {
			func(s *fakeServer, _ *fakeDeployment) {
				until := time.Now().Add(3 * time.Minute)
				s.fault = func(r *http.Request) (*reply, error) {
					if isStatus(r) && time.Now().Before(until) {
						return nil, errNetwork
					}
					return nil, nil
				}
			}, 1, 29,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				tt.prepare(server, d)
				var mu sync.Mutex
				runs := 0
				start(t, config(server, agent.RunnerFunc(func(context.Context, agent.Work, io.Writer) error {
					mu.Lock()
					defer mu.Unlock()
					runs++
					return nil
				})))
				settle(10 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if posts := len(server.requests(http.MethodPost, "/status")); runs != tt.wantRuns || posts != tt.wantPost {
					t.Errorf("got %d runs and %d reports, want %d and %d", runs, posts, tt.wantRuns, tt.wantPost)
				}
			})
		})
	}
}

// A replica that is behind offers an attempt again.
func TestStaleOfferIsNotRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		server.add("d1", time.Minute)
		stale := content(`{"deployments":[{"id":"d1","attempt":1,"lease_seconds":60}]}`)
		server.fault = respond(stale, stale, stale, stale)
		start(t, config(server, agent.RunnerFunc(idle)))
		settle(time.Minute)
		if got := len(server.requests(http.MethodPost, "/status")); got != 2 {
			t.Errorf("got %d reports, want a claim and a success", got)
		}
	})
}

func TestLostLease(t *testing.T) {
	tests := map[string]struct {
		renewal  func() (*reply, error)
		wantStop bool
	}{
		"cancelled or expired": {status(409), true},
		"deleted":              {status(404), true},
		"a proxy's 404":        {func() (*reply, error) { r, _ := content("<html>")(); r.status = 404; return r, nil }, false},
		"server error":         {status(500), false},
		"unauthorised":         {status(401), false},
		"unreachable":          {broken(errNetwork), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				began := time.Now()
				reports := 0
				server.fault = func(r *http.Request) (*reply, error) {
					if !strings.HasSuffix(r.URL.Path, "/status") {
						return nil, nil
					}
					if reports++; reports > 1 && time.Since(began) < 80*time.Second {
						return tt.renewal()
					}
					return nil, nil
				}
				var stoppedAfter time.Duration
				start(t, config(server, agent.RunnerFunc(func(ctx context.Context, w agent.Work, out io.Writer) error {
					err := forA(90*time.Second)(ctx, w, out)
					if err != nil {
						stoppedAfter = time.Since(began)
					}
					return err
				})))
				settle(3 * time.Minute)
				if tt.wantStop {
					if stoppedAfter != 20*time.Second || server.last(d).Status != "running" || reports != 2 {
						t.Errorf("stopped after %s with %d reports, want 20s, two reports and no final one", stoppedAfter, reports)
					}
				} else if stoppedAfter != 0 || server.last(d).Status != "succeeded" {
					t.Errorf("stopped after %s, last report %+v, want it to run on and succeed", stoppedAfter, server.last(d))
				}
			})
		})
	}
}

func TestFinalReport(t *testing.T) {
	tests := map[string]struct {
		away time.Duration // from the end of the work
		want openapi.StatusReportStatus
	}{
		"at once":            {0, "succeeded"},
		"within the lease":   {40 * time.Second, "succeeded"},
		"long after it":      {20 * time.Minute, "running"},
		"refused, say again": {-1, "running"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				var ended time.Time
				finals := 0
				server.fault = func(r *http.Request) (*reply, error) {
					if !strings.HasSuffix(r.URL.Path, "/status") || ended.IsZero() {
						return nil, nil
					}
					finals++
					switch {
					case tt.away < 0:
						return status(409)()
					case time.Since(ended) < tt.away:
						return nil, errNetwork
					}
					return nil, nil
				}
				start(t, config(server, agent.RunnerFunc(func(context.Context, agent.Work, io.Writer) error {
					time.Sleep(5 * time.Second)
					ended = time.Now()
					return nil
				})))
				settle(30 * time.Minute)
				if got := server.last(d).Status; got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				if tt.away < 0 && finals != 1 || finals > 10 {
					t.Errorf("got %d final reports", finals)
				}
			})
		})
	}
}

func TestConcurrency(t *testing.T) {
	for _, slots := range []int{0, 1, 3} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				for i := range 7 {
					server.add(fmt.Sprintf("d%d", i), time.Minute)
				}
				var mu sync.Mutex
				var order []string
				now, limit := 0, 0
				cfg := config(server, agent.RunnerFunc(func(_ context.Context, w agent.Work, _ io.Writer) error {
					mu.Lock()
					now++
					limit = max(limit, now)
					order = append(order, w.ID)
					mu.Unlock()
					time.Sleep(4 * time.Second)
					mu.Lock()
					now--
					mu.Unlock()
					return nil
				}))
				cfg.Concurrency = slots
				start(t, cfg)
				settle(time.Minute)
				if want := max(slots, 1); limit != want || len(order) != 7 || slots < 2 && !cmp.Equal(order, []string{"d0", "d1", "d2", "d3", "d4", "d5", "d6"}) {
					t.Errorf("got at most %d at once in the order %v, want %d, each once, oldest first", limit, order, want)
				}
			})
		})
	}
}

// An attempt starts only when the previous one has ended here, whatever its state on the server.
func TestAttemptsOfADeploymentDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		var mu sync.Mutex
		running := map[string]int{}
		var attempts []int32
		cfg := config(server, agent.RunnerFunc(func(ctx context.Context, w agent.Work, _ io.Writer) error {
			mu.Lock()
			running[w.ID]++
			if running[w.ID] > 1 {
				t.Error("two attempts at once")
			}
			attempts = append(attempts, w.Attempt)
			mu.Unlock()
			<-ctx.Done()
			time.Sleep(30 * time.Second) // slow to stop
			mu.Lock()
			running[w.ID]--
			mu.Unlock()
			return ctx.Err()
		}))
		cfg.Concurrency, cfg.Drain = 4, 0
		start(t, cfg)
		settle(15 * time.Second)
		server.set(d, "pending", 2) // the lease was lost
		settle(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]int32{1, 2}, attempts); diff != "" {
			t.Errorf("attempts (-want +got):\n%s", diff)
		}
	})
}
