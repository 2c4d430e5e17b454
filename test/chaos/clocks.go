package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// sleepers is the number of agents in separate processes, two for each agent, that are stopped and continued. To them
// the clock seems to jump, as after a suspend of the machine.
const sleepers = 3

var clocksJump = newClocksFault()

func newClocksFault() experiment {
	var clocks *jumpingClocks
	return experiment{
		name: "clocks_jump",
		what: "agents whose clocks jump by up to two hours, forth and back, and agents that are suspended for longer than a lease",
		where: func(t *trial) setting {
			clocks = &jumpingClocks{of: map[string]time.Duration{}}
			t.clocks = clocks.clock
			return setting{}
		},
		strike: func(ctx context.Context, t *trial) error {
			began := time.Now()
			agents, err := t.startSleepers(ctx)
			if err != nil {
				return err
			}
			if err := t.suspend(ctx, agents, clocks); err != nil {
				return err
			}
			over := time.Now()
			if _, err := t.recovered(ctx, over); err != nil {
				return err
			}
			late := 0
			t.recorder.look(func(d *recorder) {
				for _, s := range d.deployments {
					for _, e := range s.events {
						if e.refused == fleet.ErrStaleAttempt.Code {
							late++
						}
					}
				}
			})
			t.logf("%s: %d reports were refused for their attempt was over", t.name, late)
			t.set("stale_reports_refused", float64(late), "reports")
			t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
			return nil
		},
	}
}

// jumpingClocks holds the clocks of agents by their ids.
type jumpingClocks struct {
	mu sync.Mutex
	of map[string]time.Duration // offsets
}

func (j *jumpingClocks) clock(agent string) func() time.Time {
	return func() time.Time {
		j.mu.Lock()
		defer j.mu.Unlock()
		return time.Now().Round(0).Add(j.of[agent]) // without the monotonic clock, which does not jump
	}
}

func (j *jumpingClocks) set(agent string, ahead time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.of[agent] = ahead
}

// startSleepers starts processes of `watchbill agent`. Their requests go through a proxy that records them in the
// diary.
func (t *trial) startSleepers(ctx context.Context) (agents []*rig.Process, err error) {
	service, err := url.Parse(t.url())
	if err != nil {
		return nil, err
	}
	client := t.workload.client(true)
	notes := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(service) },
		Transport: client.Transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	})
	t.ending(func() error { notes.Close(); return nil })
	for i := range sleepers {
		id := fmt.Sprintf("sleeper-%03d", i)
		token, err := t.workload.enrol(ctx, client, id)
		if err != nil {
			return nil, err
		}
		for body := range 2 {
			p, err := rig.Start(ctx, rig.Command{
				Path: t.binary, Dir: t.folder, Log: filepath.Join(t.folder, fmt.Sprintf("%s-%d.log", id, body)),
				Args: []string{"agent", "--server", notes.URL, "--id", id, "--exec", "sleep 0.3", "--concurrency", "2", "--drain", "2s"},
				Env:  []string{"WATCHBILL_TOKEN=" + token},
			})
			if err != nil {
				return nil, err
			}
			agents = append(agents, p)
			t.ending(func() error { return errors.Join(p.Signal(syscall.SIGCONT), p.Close()) })
		}
		t.workload.mayDeployTo(id)
	}
	return agents, nil
}

// suspend stops agents several times for longer than a lease, while the clocks of others jump.
func (t *trial) suspend(ctx context.Context, agents []*rig.Process, clocks *jumpingClocks) error {
	for range t.repeat(6, 2) {
		var stopped []*rig.Process
		for _, p := range agents {
			if t.random0.IntN(2) == 0 {
				stopped = append(stopped, p)
			}
		}
		for _, p := range stopped {
			if err := p.Signal(syscall.SIGSTOP); err != nil {
				return err
			}
		}
		for end := time.Now().Add(t.between((leaseSeconds+1)*time.Second, (leaseSeconds+3)*time.Second)); time.Now().Before(end); {
			for _, id := range t.workload.targets() {
				if t.random0.IntN(3) == 0 {
					clocks.set(id, t.between(-2*time.Hour, 2*time.Hour))
				}
			}
			if !pause.For(ctx, 500*time.Millisecond) {
				return ctx.Err()
			}
		}
		for _, p := range stopped {
			if err := p.Signal(syscall.SIGCONT); err != nil {
				return err
			}
		}
		if !pause.For(ctx, t.between(time.Second, 2*time.Second)) {
			return ctx.Err()
		}
	}
	for _, id := range t.workload.targets() {
		clocks.set(id, 0)
	}
	return nil
}
