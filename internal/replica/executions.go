package replica

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/spool"
	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

const (
	settleEvery = time.Second
	foldEvery   = 3 * time.Second  // larger folds write each rollup fewer times
	pricesEvery = 10 * time.Second // how often changed prices are reloaded
)

// executions are the parts of a replica that store, run and count executions.
type executions struct {
	now      func() time.Time
	store    *postgres.Executions
	names    *execution.Pseudonyms // nil if names are stored unchanged
	contents *postgres.Contents    // of log records
	ledger   *ledger.Ledger
	observer observer
	prices   *priceFile
	currency *displayCurrency
	gateway  *gateway.Gateway
	agents   *gateway.Watcher // nil without a file of agents
	spool    *spool.Spool     // likewise
	deltas   atomic.Int64     // number of unfolded deltas when last counted; -1 before the first count
	dayCost  *metrics.DayCostGauge

	unreadCounts *metrics.UnreadCounts
}

// observer passes the ledger's events to Prometheus and commits' errors to the health check.
type observer struct {
	*metrics.ExecutionMetrics
	*metrics.LedgerMetrics
	commits *health.Check
	stored  *atomic.Uint64 // committed executions
}

// ObserveCommit implements ledger.Observer.
func (o observer) ObserveCommit(rows int, took time.Duration, err error) {
	o.LedgerMetrics.ObserveCommit(rows, took, err)
	o.commits.Observe(err)
	if err == nil {
		o.stored.Add(uint64(rows))
	}
}

func newExecutions(
	config ExecutionConfig, db *postgres.DB, registry *prometheus.Registry, monitor *health.Monitor, log *zap.Logger, now func() time.Time,
) (*executions, error) {
	rules, err := redact.ParseRules(config.Redact)
	if err != nil {
		return nil, err
	}
	e := &executions{
		now:     now,
		store:   postgres.NewExecutions(db, config.Retention, now),
		dayCost: metrics.NewDayCostGauge(registry, 4*sampleEvery, now),

		unreadCounts: metrics.NewUnreadCounts(registry, log.Named("usage")),
	}
	e.observer = observer{
		metrics.NewExecutionMetrics(registry, now), metrics.NewLedgerMetrics(registry), checkExecutions(monitor, registry, e.store), new(atomic.Uint64),
	}
	if e.prices, err = readPrices(config.PricesFile, config.freeSelfHosted()); err != nil {
		return nil, err
	}
	payloads := execution.PayloadPolicy{Max: config.MaxPayload, Refuse: config.RefuseOversized, Redact: rules}
	e.contents = postgres.NewContents(db, payloads)
	if e.names, err = config.pseudonyms(rules); err != nil {
		return nil, err
	}
	if e.currency, err = readDisplayCurrency(config.DisplayCurrency, config.CurrencyRateFile); err != nil {
		return nil, err
	}
	e.store.PriceBy(func(one *execution.Execution) { e.prices.inForce().Price(one) })
	e.ledger = ledger.New(ledger.Options{
		Store: e.store, Prices: e.prices.inForce, Observer: e.observer,
		Payloads: payloads, Names: e.names,
		Keep: config.Retention.Executions, Log: log.Named("ledger"), Now: now,
		MaxRows: config.QueueRows, MaxBytes: ledger.DefaultBytes,
	})
	e.deltas.Store(-1)
	registry.MustRegister(
		metrics.NewLedgerQueueCollector(func() metrics.QueueSample {
			q := e.ledger.Queue()
			return metrics.QueueSample{Rows: q.Rows, CapacityRows: q.MaxRows, Bytes: int64(q.Bytes)}
		}),
		metrics.NewRollupDeltasCollector(func() (int64, bool) { n := e.deltas.Load(); return n, n >= 0 }),
		metrics.NewTraceBoundsCollector(e.store.TraceBounds),
		metrics.NewContentCollector(e.contents.Sample),
	)
	if config.AgentsFile == "" {
		e.gateway = gateway.New(gateway.Options{Agents: func() *gateway.Agents { return nil }, Now: now, Log: log.Named("gateway")})
		return e, nil
	}
	return e, e.openGateway(config, registry, log, now)
}

// openGateway reads the agents and takes a slot of the spool, which may contain executions left by a dead process.
func (e *executions) openGateway(config ExecutionConfig, registry *prometheus.Registry, log *zap.Logger, now func() time.Time) (err error) {
	if e.agents, err = gateway.Watch(config.AgentsFile, os.LookupEnv, log.Named("gateway")); err != nil {
		return err
	}
	e.spool, err = spool.Open(spool.Options{
		Dir: config.SpoolDir, MaxBytes: config.SpoolMaxBytes, MaxRecord: config.maxRecord(), Log: log.Named("spool"), Now: now,
	})
	if err != nil {
		return err
	}
	registry.MustRegister(metrics.NewSpoolCollector(func() metrics.SpoolSample {
		s := e.spool.Stats()
		sample := metrics.SpoolSample{
			Records: s.Records, Bytes: s.Used, CapacityBytes: s.Capacity, Replayed: s.Delivered, Corrupt: s.Corrupt,
		}
		if !s.Oldest.IsZero() {
			sample.OldestAge = now().Sub(s.Oldest)
		}
		return sample
	}))
	unknown := metrics.NewUsageUnknownCounter(registry)
	e.gateway = gateway.New(gateway.Options{
		UsageUnknown: unknown.Inc, UnreadCount: e.unreadCounts.Observe,
		Agents: e.agents.Agents, Recorder: gateway.SpoolRecorder(e.spool, e.ledger.Prepare), Now: now,
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() }, NewTrace: newTrace, Log: log.Named("gateway"),
	})
	return nil
}

// newTrace returns the ids of a new trace and its first span.
func newTrace() (traceID, spanID string) {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails; it crashes the program instead
	return hex.EncodeToString(b[:16]), hex.EncodeToString(b[16:])
}

// settle links executions to ancestors that arrived after them.
func (e *executions) settle(ctx context.Context) error {
	return e.inTurns(ctx, func(ctx context.Context) (more bool, err error) {
		settled, more, err := e.store.Settle(ctx)
		e.observer.Observe(settled)
		return more, err
	})
}

// joinContents adds the content of log records to their executions.
func (e *executions) joinContents(ctx context.Context) error { return e.inTurns(ctx, e.contents.Join) }

// fold adds deltas to the rollups.
func (e *executions) fold(ctx context.Context) error { return e.inTurns(ctx, e.store.Fold) }

// countUnfolded counts the unfolded deltas, for the gauge.
func (e *executions) countUnfolded(ctx context.Context) error {
	n, err := e.store.Unfolded(ctx)
	if err == nil {
		e.deltas.Store(n)
	}
	return err
}

// sampleDayCost queries the cost of the day's executions so far, for the gauge.
func (e *executions) sampleDayCost(ctx context.Context) error {
	const nanoUSD = 1e9
	asked := e.now()
	cost, err := e.store.DayCost(ctx)
	if err == nil {
		e.dayCost.Set(metrics.DayCost{Taken: asked, USD: float64(cost) / nanoUSD})
	}
	return err
}

// inTurns calls do while there is more to do, a limited number of times; the rest is left for the next call.
func (e *executions) inTurns(ctx context.Context, do func(context.Context) (more bool, err error)) error {
	for end := e.now().Add(turnTimeout / 2); ; {
		more, err := do(ctx)
		if err != nil || !more || e.now().After(end) {
			return err
		}
	}
}

// watchAgents reloads the file of agents when it changes.
func (e *executions) watchAgents(ctx context.Context) error {
	if e.agents == nil {
		return nil
	}
	return e.agents.Run(ctx)
}

// runSpool stores the gateway's spooled executions.
func (e *executions) runSpool(ctx context.Context) error {
	if e.spool == nil {
		return nil
	}
	return e.spool.Run(ctx, e.ledger.Append)
}

// strains returns descriptions of the buffers that are filling up, because more arrives than can be stored, and of what
// cannot be written.
func (e *executions) strains() []string {
	const limit = 0.8
	var all []string
	if q := e.ledger.Queue(); float64(q.Rows) >= limit*float64(q.MaxRows) {
		all = append(all, "the ledger's queue is filling up")
	}
	if e.spool == nil {
		return all
	}
	switch s := e.spool.Stats(); {
	case s.Err != nil:
		all = append(all, "the spool cannot be written: "+reasonOf(s.Err))
	case s.NoSpace:
		all = append(all, "the spool's disk is full")
	case float64(s.Used) >= limit*float64(s.Capacity):
		all = append(all, "the spool is filling up")
	}
	return all
}

// reasonOf returns the system's reason why a file cannot be written, without the file's name.
func reasonOf(err error) string {
	var reason syscall.Errno
	if errors.As(err, &reason) {
		return reason.Error()
	}
	return "see the log"
}

func (e *executions) close() error {
	if e.gateway != nil {
		e.gateway.Close()
	}
	if e.spool == nil {
		return nil
	}
	return e.spool.Close()
}
