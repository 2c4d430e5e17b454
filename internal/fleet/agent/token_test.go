package agent_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/fleet/agent"
)

// tokenFile is a fake token file.
type tokenFile struct {
	mu    sync.Mutex
	token string
	err   error
	reads int
}

func (f *tokenFile) read() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.token, f.err
}

func (f *tokenFile) write(token string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token, f.err = token, err
}

// TestRejectedTokenIsRetried: while a server rejects the token for half an hour the agent polls slowly, and it works
// afterwards.
func TestRejectedTokenIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newFakeServer()
		began := time.Now()
		server.fault = func(*http.Request) (*reply, error) {
			if time.Since(began) < 30*time.Minute {
				return status(http.StatusUnauthorized)()
			}
			return nil, nil
		}
		logged, logs := observer.New(zapcore.InfoLevel)
		cfg := config(server, agent.RunnerFunc(idle))
		cfg.Logger = zap.New(logged)
		stop := start(t, cfg)
		settle(29 * time.Minute)
		wantGaps(t, server.polls(), 1, 2, 4, 8, 16, 32, 64, 120, 120, 120)
		if got := logs.FilterMessageSnippet("refuses this agent's token").Len(); got != 1 {
			t.Errorf("want it said once that the token is refused, got %d times", got)
		}
		if got := logs.Len(); got > 3 {
			t.Errorf("want at most three lines in half an hour, got %v", logs.All())
		}
		d := server.add("d1", time.Minute)
		settle(5 * time.Minute)
		if got := server.last(d).Status; got != "succeeded" {
			t.Errorf("once the token is taken: want the work done, got %q", got)
		}
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestTokenIsReplaced rotates the token while the agent is idle, and during a deployment, whose log and outcome must arrive
// under the new token.
func TestTokenIsReplaced(t *testing.T) {
	for name, tt := range map[string]struct {
		works bool
		after time.Duration // from the rotation to the new file
		since error         // the file's error until then
	}{
		"before it is refused":          {works: false},
		"idle":                          {after: 3 * time.Second},
		"idle, late":                    {after: 10 * time.Minute},
		"idle, and the file is missing": {after: 3 * time.Second, since: errors.New("no such file")},
		"in the middle of a run":        {works: true, after: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newFakeServer()
				file := &tokenFile{token: "the old token", err: tt.since}
				began, rotated := time.Now(), 30*time.Second
				server.fault = func(r *http.Request) (*reply, error) {
					valid := token
					if time.Since(began) < rotated {
						valid = "the old token"
					}
					if r.Header.Get("Authorization") != "Bearer "+valid {
						return status(http.StatusUnauthorized)()
					}
					r.Header.Set("Authorization", "Bearer "+token)
					return nil, nil
				}
				cfg := config(server, agent.RunnerFunc(func(ctx context.Context, w agent.Work, out io.Writer) error {
					for range 12 {
						if _, err := io.WriteString(out, "line\n"); err != nil {
							return err
						}
						if err := forA(5*time.Second)(ctx, w, out); err != nil {
							return err
						}
					}
					return nil
				}))
				cfg.Token, cfg.ReadToken = "the old token", file.read
				start(t, cfg)
				settle(20 * time.Second)
				var d *fakeDeployment
				if tt.works {
					d = server.add("d1", time.Minute)
				}
				settle(10*time.Second + tt.after)
				file.write(token, nil)
				settle(3 * time.Second)
				polls := server.polls()
				if got := polls[len(polls)-1].header.Get("Authorization"); tt.after > 0 && got != "Bearer "+token {
					t.Errorf("three seconds after the file was written: want polls under the new token, got %q", got)
				}
				if d == nil {
					d = server.add("d1", time.Minute)
				}
				settle(3 * time.Minute)
				if got, log := server.last(d).Status, d.log[1]; got != "succeeded" || strings.Count(log, "line") != 12 {
					t.Errorf("want the run to succeed with its whole log, got %q, %d lines", got, strings.Count(log, "line"))
				}
			})
		})
	}
}
