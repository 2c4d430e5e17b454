package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// replicas is the number of replicas in every trial.
const replicas = 2

// idleAgents is the number of enrolled agents that poll and get no work.
const idleAgents = 50

// setting holds a trial's differences from the usual setup.
type setting struct {
	// database creates the replicas' database, and returns their URL and one for the trial that bypasses proxies. If
	// nil, a new one on the shared server is used.
	database func(ctx context.Context, t *trial) (service, direct string, err error)
	size     *workloadSize
	args     []string // more flags of the replicas
	agents   int      // idle ones, beyond the usual
	spools   func(ctx context.Context, t *trial, replica int) (folder string, err error)
}

// trial is the test of one fault, with its components and results.
type trial struct {
	*chaos
	name     string
	recorder *recorder
	patience time.Duration // how long a request is made again and again
	folder   string
	service  string // the database's URL for the replicas
	direct   string // for the trial
	balancer *rig.Balancer
	workload *workload
	watch    *watch
	random0  *rand.Rand // of the schedule

	mu       sync.Mutex
	servers  [replicas]*rig.Server // nil if down
	base     [replicas]int         // goroutines before there was work
	address  [replicas]string
	spools   [replicas]string
	args     []string
	endings  []func() error // called in reverse order
	recovery time.Duration  // the maximum
	idleP99  float64        // of idle polls, in ms, if measured
	found    []figure
	clocks   func(agent string) func() time.Time
}

// random returns a separate random source, the same for the same seed, trial and name.
func (t *trial) random(who string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(t.name + "/" + who)) // never fails
	return rand.New(rand.NewPCG(t.seed, h.Sum64()))
}

// locked returns a function that draws from a random source and is safe for concurrent use.
func locked(random *rand.Rand) func() float64 {
	var mu sync.Mutex
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
}

// between returns a random duration for the schedule.
func (t *trial) between(minimum, limit time.Duration) time.Duration {
	return minimum + time.Duration(t.random0.Int64N(int64(limit-minimum)))
}

type tokens struct{ admin, enrolment, ingest string }

func (*trial) tokens() tokens { return tokens{rig.AdminToken, rig.EnrollmentToken, rig.IngestToken} }

// url returns the service's URL for clients.
func (t *trial) url() string { return "http://" + t.balancer.Address() }

func (t *trial) clockOf(agent string) func() time.Time {
	if t.clocks == nil {
		return time.Now
	}
	return t.clocks(agent)
}

// ending adds a function to call when the trial ends.
func (t *trial) ending(do func() error) { t.endings = append(t.endings, do) }

func (t *trial) close() error {
	var err error
	for i := len(t.endings) - 1; i >= 0; i-- {
		err = errors.Join(err, t.endings[i]())
	}
	return err
}

// prepare starts the service, with only idle agents.
func (t *trial) prepare(ctx context.Context, s setting) (err error) {
	t.folder = filepath.Join(t.dir, t.name)
	if err := os.MkdirAll(t.folder, 0o755); err != nil {
		return err
	}
	database := s.database
	if database == nil {
		database = sharedDatabase
	}
	if t.service, t.direct, err = database(ctx, t); err != nil {
		return fmt.Errorf("make the database: %w", err)
	}
	agents := filepath.Join(t.folder, "agents.yaml")
	if err := os.WriteFile(agents, []byte("agents: [{name: echo, types: [\"*\"], kind: echo}]\n"), 0o600); err != nil {
		return err
	}
	t.args = append([]string{
		"--agents-file", agents, "--retry-backoff", "200ms", "--retry-backoff-limit", "1s", "--shutdown-delay", "2s",
	}, s.args...)
	for i := range replicas {
		t.spools[i] = filepath.Join(t.folder, fmt.Sprintf("spool-%d", i))
		if s.spools != nil {
			if t.spools[i], err = s.spools(ctx, t, i); err != nil {
				return err
			}
		}
		if err := t.start(ctx, i); err != nil {
			return err
		}
		t.ending(func() error { return t.stop(i) })
		if i == 0 { // the schema exists now
			if err := rig.SeedAgents(ctx, t.direct, 0, idleAgents+s.agents); err != nil {
				return err
			}
		}
	}
	if t.balancer, err = rig.NewBalancer(100*time.Millisecond, t.address[:]...); err != nil {
		return err
	}
	t.ending(t.balancer.Close)
	for i := range replicas {
		if t.base[i], err = t.restingGoroutines(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// sharedDatabase returns a new database on the server that trials share.
func sharedDatabase(ctx context.Context, t *trial) (service, direct string, err error) {
	url, err := t.createDatabase(ctx, "chaos_"+t.name)
	return url, url, err
}

// createDatabase creates a database on the server that trials share, which it starts if necessary.
func (t *trial) createDatabase(ctx context.Context, name string) (url string, err error) {
	if t.postgres == nil {
		t.postgres, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(t.dir, "postgres")})
		if err != nil {
			return "", err
		}
	}
	return t.postgres.CreateDatabase(ctx, name)
}

// start starts a replica at its previous address.
func (t *trial) start(ctx context.Context, i int) error {
	server, err := rig.Serve(ctx, rig.ServeOptions{
		Binary: t.binary, DatabaseURL: t.service, Dir: t.folder, Name: fmt.Sprintf("replica-%d", i), Address: t.address[i],
		Args: append([]string{"--spool-dir", t.spools[i]}, t.args...),
	})
	if err != nil {
		return fmt.Errorf("start replica %d: %w", i, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.servers[i], t.address[i] = server, server.Address
	return nil
}

// stop stops a replica gracefully, if it runs.
func (t *trial) stop(i int) error {
	t.mu.Lock()
	server := t.servers[i]
	t.servers[i] = nil
	t.mu.Unlock()
	if server == nil {
		return nil
	}
	if err := server.Close(); err != nil {
		return fmt.Errorf("stop replica %d: %w", i, err)
	}
	return nil
}

func (t *trial) server(i int) *rig.Server {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.servers[i]
}

// settleGoroutines is the interval of reading a replica's goroutines, and how many times in a row they must not exceed
// the initial number.
const (
	goroutinesEvery = 100 * time.Millisecond
	goroutinesLooks = 8
)

// restingGoroutines returns the maximum number of goroutines of a replica without work.
func (t *trial) restingGoroutines(ctx context.Context, i int) (limit int, err error) {
	for range goroutinesLooks {
		n, err := t.server(i).Goroutines(ctx)
		if err != nil {
			return 0, err
		}
		limit = max(limit, n)
		if !pause.For(ctx, goroutinesEvery) {
			return 0, ctx.Err()
		}
	}
	return limit, nil
}

// leaked returns how many goroutines the replicas have beyond those they had without work, after time for them to end.
func (t *trial) leaked(ctx context.Context) (n int, err error) {
	patience, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for i := range replicas {
		var now int
		if !eventually(patience, goroutinesEvery, func() bool {
			now, err = t.server(i).Goroutines(ctx)
			return err == nil && now <= t.base[i]
		}) && err == nil {
			t.logf("%s: replica %d has %d goroutines, and had %d: see %s", t.name, i, now, t.base[i], t.server(i).Log)
			n += now - t.base[i]
			err = t.server(i).Signal(quit) // it prints their stacks
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// set records a figure of the trial.
func (t *trial) set(name string, value float64, unit string) {
	t.found = append(t.found, figure{name: name, of: t.name, value: value, unit: unit})
}

// must records a figure that must be 0.
func (t *trial) must(name string, value int, unit string) {
	t.found = append(t.found, figure{name: name, of: t.name, value: float64(value), unit: unit, exact: true})
}

// recovered waits until everything works again, and records how long after the end of a fault that was.
func (t *trial) recovered(ctx context.Context, over time.Time) (time.Duration, error) {
	took, err := t.watch.recovered(ctx, over)
	t.recovery = max(t.recovery, took)
	return took, err
}
