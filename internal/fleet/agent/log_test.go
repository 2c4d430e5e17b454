package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fleet/agent"
)

func isLog(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/logs") }

// numbered writes n numbered lines of 1 KiB each, and returns them.
func numbered(out io.Writer, n int) string {
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "%0*d\n", 1023, i)
	}
	_, _ = io.WriteString(out, all.String())
	return all.String()
}

func TestLogCadence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		began := time.Now()
		start(t, config(server, agent.RunnerFunc(func(_ context.Context, _ agent.Work, out io.Writer) error {
			time.Sleep(50 * time.Millisecond)
			for range 20 { // small and frequent: one chunk per second
				fmt.Fprintln(out, "tick")
				time.Sleep(100 * time.Millisecond)
			}
			numbered(out, 40) // large: immediately
			time.Sleep(500 * time.Millisecond)
			fmt.Fprintln(out, "the end") // the end: immediately
			return nil
		})))
		settle(10 * time.Second)
		if diff := cmp.Diff([]int{50, 50, 40 << 10, 8}, d.chunks); diff != "" {
			t.Errorf("chunks (-want +got):\n%s", diff)
		}
		var at []float64
		for _, chunk := range d.chunkAt {
			at = append(at, chunk.Sub(began).Seconds())
		}
		if diff := cmp.Diff([]float64{1, 2, 2.05, 2.55}, at); diff != "" {
			t.Errorf("seconds at which they came (-want +got):\n%s", diff)
		}
		if got := len(server.requests(http.MethodPost, "/logs")); got != 4 {
			t.Errorf("got %d requests, want one for each chunk", got)
		}
	})
}

func TestLogRetriesAfterFaults(t *testing.T) {
	tests := map[string]func(n int, s *fakeServer) (*reply, error){ // called with the number of the request
		"answers lost": nil, // below
		"requests lost": func(n int, _ *fakeServer) (*reply, error) {
			if n%2 == 1 {
				return nil, errNetwork
			}
			return nil, nil
		},
		"server errors": func(n int, _ *fakeServer) (*reply, error) {
			if n%3 != 0 {
				return status(http.StatusServiceUnavailable, "Retry-After", "1")()
			}
			return nil, nil
		},
		"the server lost its end": func(n int, s *fakeServer) (*reply, error) {
			if n == 2 {
				s.mu.Lock()
				d := s.deploys[0]
				d.log[1] = d.log[1][:len(d.log[1])-1000]
				s.mu.Unlock()
			}
			return nil, nil
		},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				n := 0
				server.fault = func(r *http.Request) (*reply, error) {
					if isLog(r) {
						n++
						if fault != nil {
							return fault(n, server)
						}
					}
					return nil, nil
				}
				if fault == nil {
					server.lost = func(r *http.Request) bool { return isLog(r) && n%2 == 1 }
				}
				var want string
				start(t, config(server, agent.RunnerFunc(func(_ context.Context, _ agent.Work, out io.Writer) error {
					for range 5 {
						want += numbered(out, 70)
						time.Sleep(10 * time.Second)
					}
					return nil
				})))
				settle(5 * time.Minute)
				got := server.logOf(d)
				if name == "the server lost its end" {
					// Acknowledged output is dropped by the agent, so the log continues with new output.
					got, want = got[len(got)-4*70<<10:], want[70<<10:]
				}
				if got != want {
					t.Errorf("got %d bytes of log that differ from the %d that were written", len(got), len(want))
				}
				if server.last(d).Status != "succeeded" {
					t.Errorf("last report: got %s, want succeeded", server.last(d).Status)
				}
			})
		})
	}
}

func TestLogDuringServerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		var away atomic.Bool
		away.Store(true)
		server.fault = func(r *http.Request) (*reply, error) {
			if isLog(r) && away.Load() {
				return nil, errNetwork
			}
			return nil, nil
		}
		start(t, config(server, agent.RunnerFunc(func(_ context.Context, _ agent.Work, out io.Writer) error {
			for i := range 5000 { // of 1 KiB
				fmt.Fprintf(out, "%0*d\n", 1023, i)
			}
			time.Sleep(time.Minute)
			away.Store(false)
			return nil
		})))
		settle(5 * time.Minute)
		got := server.logOf(d)
		head, rest, marked := strings.Cut(got, "\n[watchbill: ")
		var dropped int
		_, tail, _ := strings.Cut(rest, "here]\n")
		_, _ = fmt.Sscanf(rest, "%d bytes", &dropped)
		if !marked || len(head) != 512<<10 || len(head)+dropped+len(tail) != 5000<<10 {
			t.Errorf("got %d bytes, a mark (%t) for %d dropped, and %d bytes", len(head), marked, dropped, len(tail))
		}
		if !strings.HasPrefix(head, strings.Repeat("0", 1023)+"\n") || !strings.HasSuffix(tail, "4999\n") || len(tail) < 512<<10 {
			t.Error("the beginning or the end of the output is missing")
		}
		if out := server.last(d).Output; len(out) != 16<<10 || !strings.HasSuffix(out, "4999\n") {
			t.Errorf("got an output of %d bytes, want the last 16 KiB", len(out))
		}
	})
}

func TestLogUploadGivesUpAtDeadline(t *testing.T) {
	tests := map[string]struct {
		maxLog  int
		fault   func() (*reply, error)
		wantLog int
		limit   int // maximum requests
	}{
		"full":                       {maxLog: 100 << 10, wantLog: 100 << 10, limit: 3},
		"attempt over":               {fault: status(409), limit: 1},
		"always elsewhere":           {fault: elsewhere, limit: 6},
		"refused":                    {fault: status(415), limit: 1},
		"the server does not answer": {fault: broken(errNetwork), limit: 40},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				d.maxLog = tt.maxLog
				server.fault = func(r *http.Request) (*reply, error) {
					if isLog(r) && tt.fault != nil {
						return tt.fault()
					}
					return nil, nil
				}
				start(t, config(server, agent.RunnerFunc(func(_ context.Context, _ agent.Work, out io.Writer) error {
					for range 10 {
						numbered(out, 50)
						time.Sleep(5 * time.Second)
					}
					return errors.New("exit status 3")
				})))
				settle(5 * time.Minute)
				if got := len(server.logOf(d)); got != tt.wantLog {
					t.Errorf("got %d bytes of log, want %d", got, tt.wantLog)
				}
				if got := len(server.requests(http.MethodPost, "/logs")); got > tt.limit {
					t.Errorf("got %d requests, want at most %d", got, tt.limit)
				}
				if got := server.last(d); got.Status != "failed" || len(got.Output) != 16<<10 {
					t.Errorf("got %s with %d bytes of output, want the work undisturbed", got.Status, len(got.Output))
				}
			})
		})
	}
}

func elsewhere() (*reply, error) {
	r, err := content(`{"code":"log_gap","next_offset":7}`)()
	r.status = http.StatusConflict
	return r, err
}

// Output written after the work has ended is ignored.
func TestWriteAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		start(t, config(server, agent.RunnerFunc(func(_ context.Context, _ agent.Work, out io.Writer) error {
			go func() {
				time.Sleep(time.Second)
				fmt.Fprint(out, "late")
			}()
			fmt.Fprint(out, "in time")
			return nil
		})))
		settle(time.Minute)
		if got, want := server.logOf(d), "in time"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !slices.Equal(d.chunks, []int{7}) {
			t.Errorf("got the chunks %v, want one", d.chunks)
		}
	})
}
