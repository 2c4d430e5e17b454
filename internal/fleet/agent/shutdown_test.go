package agent_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet/agent"
)

func TestShutdown(t *testing.T) {
	yes := true
	tests := map[string]struct {
		takes, drain time.Duration
		wantAfter    time.Duration
		want         openapi.StatusReport
	}{
		"nothing runs":        {0, time.Minute, 0, openapi.StatusReport{Status: "succeeded"}},
		"lets it finish":      {30 * time.Second, time.Minute, 25 * time.Second, openapi.StatusReport{Status: "succeeded"}},
		"stops what is long":  {time.Hour, time.Minute, time.Minute, openapi.StatusReport{Status: "failed", Retryable: &yes, Message: "the agent was stopped: signal: terminated"}},
		"stops without drain": {time.Hour, 0, 0, openapi.StatusReport{Status: "failed", Retryable: &yes, Message: "the agent was stopped: signal: terminated"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				d := server.add("d1", time.Minute)
				cfg := config(server, forA(tt.takes))
				cfg.Drain = tt.drain
				stop := start(t, cfg)
				settle(5 * time.Second)
				other := server.add("d2", time.Minute)
				polls, began := len(server.polls()), time.Now()
				if err := stop(); err != nil {
					t.Errorf("Run: %v", err)
				}
				if took := time.Since(began); took != tt.wantAfter {
					t.Errorf("stopping took %s, want %s", took, tt.wantAfter)
				}
				tt.want.Attempt, tt.want.Claim = 1, "claim-1"
				if diff := cmp.Diff(tt.want, server.last(d)); diff != "" {
					t.Errorf("last report (-want +got):\n%s", diff)
				}
				if len(server.polls()) != polls || len(other.reports) > 0 {
					t.Error("it went on polling or began something new")
				}
			})
		})
	}
}

// If the server is unreachable a stopping agent does not wait for the lease to expire.
func TestShutdownDuringServerOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		server.add("d1", time.Hour)
		var away atomic.Bool
		server.fault = func(r *http.Request) (*reply, error) {
			if away.Load() {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return nil, nil
		}
		cfg := config(server, forA(time.Hour))
		cfg.Drain = time.Second
		stop := start(t, cfg)
		settle(5 * time.Second)
		away.Store(true)
		began := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("stopping took %s, want at most 15s", took)
		}
	})
}

// Output that cannot be sent must not prevent the final report.
func TestShutdownDuringLogOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Hour)
		server.fault = func(r *http.Request) (*reply, error) {
			if !isLog(r) {
				return nil, nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		cfg := config(server, agent.RunnerFunc(func(ctx context.Context, w agent.Work, out io.Writer) error {
			fmt.Fprintln(out, "something")
			return forA(time.Hour)(ctx, w, out)
		}))
		cfg.Drain = time.Second
		stop := start(t, cfg)
		settle(5 * time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took > 15*time.Second || server.last(d).Status != "failed" {
			t.Errorf("stopping took %s, last report %+v; want at most 15s and a failure", took, server.last(d))
		}
	})
}

// A claim in flight at shutdown may have been recorded, so it is released.
func TestShutdownWhileClaiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		d := server.add("d1", time.Minute)
		claims := 0
		server.lost = func(r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/status") {
				return false
			}
			claims++
			return claims == 1
		}
		stop := start(t, config(server, forA(time.Hour)))
		settle(500 * time.Millisecond)
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if got := server.last(d); got.Status != "failed" || got.Retryable == nil || !*got.Retryable {
			t.Errorf("got %+v, want it given back", got)
		}
	})
}
