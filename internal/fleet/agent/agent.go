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
)

// MaxWait is the longest that the server holds a poll.
const MaxWait = 60 * time.Second

const (
	// authTries is how many refusals in a row are believed.
	authTries = 3
	// heldFor tells an answer that was held from one given at once.
	heldFor = time.Second
)

// Config is what an agent needs. All fields are required but those that say otherwise.
type Config struct {
	Server string // base URL, such as https://watchbill.example
	ID     string // the agent's id
	Token  string // the agent's token
	Runner Runner // does the work

	// ReadToken, if set, is asked for the token again when the server refuses the one that is used.
	ReadToken func() (string, error)

	Concurrency int           // attempts run at once; 1 when zero
	Wait        time.Duration // how long the server may hold a poll, at most MaxWait; zero polls at the server's interval
	Drain       time.Duration // how long running attempts may go on once Run is told to stop
	HTTPClient  *http.Client  // optional; redirects are never followed
	UserAgent   string        // optional

	Logger   *zap.Logger
	Now      func() time.Time
	Jitter   func() float64 // uniform in [0,1)
	NewClaim func() string  // unguessable, at most 128 characters, another one each time
}

// Agent polls one server for the work of one agent.
type Agent struct {
	cfg    Config
	client *client
	log    *zap.Logger
}

// New checks the configuration and names every fault in it at once.
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
	fault(cfg.Wait < 0 || cfg.Wait > MaxWait, fmt.Sprintf("wait: must be between 0 and %s", MaxWait))
	fault(cfg.Drain < 0, "drain: must not be negative")
	fault(cfg.Logger == nil || cfg.Now == nil || cfg.Jitter == nil || cfg.NewClaim == nil, "logger, now, jitter and newclaim: must be set")
	if len(faults) > 0 {
		return nil, fmt.Errorf("configure the agent: %w", errors.Join(faults...))
	}
	cfg.Concurrency = max(cfg.Concurrency, 1)
	log := cfg.Logger.With(zap.String("agent_id", cfg.ID))
	return &Agent{cfg: cfg, client: newClient(cfg, server, log), log: log}, nil
}

// Run polls and works until ctx ends, and then until what is running has ended: it may go on for Config.Drain, then it
// is stopped and reported as failed, to be tried again. Nothing is left behind when Run returns. A token that the server
// refuses does not end it. The error is nil after ctx ended, and otherwise says that the token is another agent's.
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

// poll hands on what the server offers, whenever that changes, until ctx ends.
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
			told := refused.note(a.log, err)
			if refused.agent == authTries {
				return fmt.Errorf("the server refuses this agent's id: %w", err)
			}
			if !told || !isStatus(err, http.StatusUnauthorized) {
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

// pause is how long to wait after an answer that took so long. A poll that was held is followed by the next at once;
// where holding does not happen, as behind a server that is stopping, the server's interval keeps us from spinning.
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

// usable leaves out what no server that keeps to the contract would offer.
func (a *Agent) usable(work []Work) []Work {
	var good []Work
	for _, w := range work {
		if err := w.check(); err != nil {
			a.log.Warn("ignoring an offer that cannot be meant", zap.Error(err))
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
