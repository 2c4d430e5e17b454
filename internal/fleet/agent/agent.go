package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/text"
)

// MaxWait is the longest that the server holds a poll.
const MaxWait = 60 * time.Second

const (
	// authTries is the number of consecutive rejections of a token before the agent waits longer.
	authTries = 3
	// heldFor is the time after which a response counts as held.
	heldFor = time.Second
)

// Config configures an agent. Fields are required unless documented otherwise.
type Config struct {
	Server string // base URL, such as https://watchbill.example
	ID     string // the agent's id
	Token  string // the agent's token
	Runner Runner // runs the deployments

	// ReadToken, if set, is called for a new token when the server rejects the current one.
	ReadToken func() (string, error)

	Concurrency int           // attempts run at once; 1 when zero
	Wait        time.Duration // how long the server may hold a poll, at most MaxWait; zero polls at the server's interval
	Drain       time.Duration // how long running attempts may continue once Run's context is done
	HTTPClient  *http.Client  // optional; redirects are never followed
	UserAgent   string        // optional

	Logger   *zap.Logger
	Now      func() time.Time
	Jitter   func() float64 // uniform in [0,1)
	NewClaim func() string  // returns a new unguessable claim of at most 128 characters
}

// Agent polls a server for the deployments of one agent and runs them.
type Agent struct {
	cfg    Config
	client *client
	log    *zap.Logger
}

// New returns an agent. Its error lists every fault of the configuration.
func New(cfg Config) (*Agent, error) {
	var faults []error
	fault := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	server, err := url.Parse(cfg.Server)
	fault(err != nil || server.Host == "" || (server.Scheme != "http" && server.Scheme != "https"), "server: must be an http or https URL")
	fault(!isID(cfg.ID), "id: must be letters, digits, '.', '_' and '-', and begin with a letter or digit")
	fault(cfg.Token == "", "token: must not be empty")
	fault(cfg.Runner == nil, "runner: must be set")
	fault(cfg.Concurrency < 0, "concurrency: must be at least 1")
	fault(cfg.Wait < 0 || cfg.Wait > MaxWait, fmt.Sprintf("wait: must be between 0 and %s", text.Duration(MaxWait)))
	fault(cfg.Drain < 0, "drain: must not be negative")
	fault(cfg.Logger == nil || cfg.Now == nil || cfg.Jitter == nil || cfg.NewClaim == nil, "logger, now, jitter and newclaim: must be set")
	if len(faults) > 0 {
		return nil, fmt.Errorf("configure the agent: %w", errors.Join(faults...))
	}
	cfg.Concurrency = max(cfg.Concurrency, 1)
	log := cfg.Logger.With(zap.String("agent_id", cfg.ID))
	return &Agent{cfg: cfg, client: newClient(cfg, server, log), log: log}, nil
}

// Run polls and runs deployments until ctx is done. Running attempts may then continue for Config.Drain, after which they
// are stopped and reported as failed, to be retried. No process or goroutine is left when Run returns. A rejected token
// does not end it. Run returns nil after ctx is done, or an error if the token belongs to another agent.
func (a *Agent) Run(ctx context.Context) error {
	defer a.client.close()
	polling, stopPolling := context.WithCancel(ctx)
	defer stopPolling()
	working, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()

	offers := make(chan []Work)
	var dispatching sync.WaitGroup
	dispatching.Go(func() { a.dispatch(polling, working, offers) })

	err := a.poll(polling, offers)
	stopPolling()
	drain := time.AfterFunc(a.cfg.Drain, kill)
	defer drain.Stop()
	dispatching.Wait()
	return err
}

// poll sends the server's offers, whenever they change, until ctx is done.
func (a *Agent) poll(ctx context.Context, offers chan<- []Work) error {
	var etag string
	var failures int
	var refused refusals
	for {
		began := a.cfg.Now()
		got, err := a.client.poll(ctx, etag, a.cfg.Wait)
		if ended(ctx) {
			return nil
		}
		var pause time.Duration
		if err != nil {
			pause = a.delay(failures, maxDelay, err)
			failures++
			logged := refused.note(a.log, err)
			if refused.agent == authTries {
				return fmt.Errorf("the server refuses this agent's id: %w", err)
			}
			if !logged || !isStatus(err, http.StatusUnauthorized) {
				a.log.Warn("polling failed", zap.Error(err), zap.Int("failures", failures), zap.Duration("retry_in", pause))
			}
		} else {
			failures = 0
			refused.clear(a.log)
			pause = a.pause(got, a.cfg.Now().Sub(began))
			if got.changed {
				etag = got.etag
				if !offer(ctx, offers, a.usable(got.work)) {
					return nil
				}
			}
		}
		if !a.pauseForToken(ctx, pause, err) {
			return nil
		}
	}
}

// pause returns how long to wait after a response that took the given time. After a held poll the next follows
// immediately. If the server does not hold polls, for example while it is stopping, its interval prevents a busy loop.
func (a *Agent) pause(got *polled, took time.Duration) time.Duration {
	switch {
	case a.cfg.Wait == 0:
		return got.interval
	case took >= min(heldFor, a.cfg.Wait):
		return 0
	case got.changed:
		return min(heldFor, got.interval)
	default:
		return got.interval
	}
}

// usable drops offers that violate the protocol.
func (a *Agent) usable(work []Work) []Work {
	var good []Work
	for _, w := range work {
		if err := w.check(); err != nil {
			a.log.Warn("ignoring a malformed offer", zap.Error(err))
			continue
		}
		good = append(good, w)
	}
	return good
}

func offer(ctx context.Context, offers chan<- []Work, work []Work) bool {
	select {
	case offers <- work:
		return true
	case <-ctx.Done():
		return false
	}
}

func ended(ctx context.Context) bool { return ctx.Err() != nil }
