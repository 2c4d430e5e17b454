package replica

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	// longTransaction is how long a transaction may be open before the replica is degraded.
	longTransaction = 10 * time.Minute
	oldestEvery     = 10 * time.Second
	partitionsEvery = time.Minute
	maxNames        = 0.8 // share of the capacity for names above which the replica is degraded
)

// strains returns why the replica is degraded, except for reasons that the API knows itself. Further reasons belong here.
func (r *Replica) strains() []string {
	var all []string
	for _, look := range []func() []string{r.monitor.Reasons, r.executions.strains, r.logs.Strains} {
		all = append(all, look()...)
	}
	return all
}

// ofWrites returns a Probe for a function that returns no reasons.
func ofWrites(probe func(context.Context) error) health.Probe {
	return func(ctx context.Context) (string, error) { return "", probe(ctx) }
}

// checkDatabaseWrites adds checks of a replica's writes, except executions, to the monitor.
func checkDatabaseWrites(monitor *health.Monitor, registry prometheus.Registerer, db *postgres.DB, now func() time.Time) {
	probes := postgres.NewProbes(db)
	monitor.Add("deployments and enrolments", ofWrites(probes.Fleet))
	monitor.Add("last-seen", ofWrites(probes.Presence))
	monitor.Add("measurements and reports", ofWrites(probes.Rollups))
	monitor.Add("rate limits", ofWrites(probes.RateLimits))
	monitor.Add("rollups of executions", ofWrites(probes.ExecutionRollups))
	oldest := postgres.NewOldestTransaction(db, now)
	var seconds atomic.Int64
	monitor.AddEvery(oldestEvery, "open transactions", func(ctx context.Context) (string, error) {
		age, err := oldest.Age(ctx)
		if err != nil {
			return "", nil //nolint:nilerr // other checks report that the database does not respond
		}
		seconds.Store(int64(age / time.Second))
		if age >= longTransaction {
			return fmt.Sprintf("a transaction is open for %s: it keeps dead rows from being removed", text.Duration(age.Truncate(time.Minute))), nil
		}
		return "", nil
	})
	registry.MustRegister(
		metrics.NewOldestTransactionCollector(func() float64 { return float64(seconds.Load()) }),
		metrics.NewWorkCollector(monitor.Failing),
	)
}

// checkExecutions adds checks of executions to the monitor. It returns the check to notify of commits.
func checkExecutions(monitor *health.Monitor, registry prometheus.Registerer, store *postgres.Executions) *health.Check {
	commits := monitor.Add("executions", ofWrites(store.Probe))
	monitor.AddEvery(partitionsEvery, "partitions for the days to come", ofWrites(store.ProbePartitions))
	var last atomic.Pointer[postgres.NameSample]
	monitor.Add("names", func(ctx context.Context) (string, error) {
		sample, err := store.SampleNames(ctx)
		if err != nil {
			return "", nil //nolint:nilerr // as above
		}
		last.Store(&sample)
		return fewNames(sample), nil
	})
	registry.MustRegister(metrics.NewNamesCollector(func() (agents, models, limit int, known bool) {
		if s := last.Load(); s != nil {
			return s.Agents, s.Models, s.Limit, true
		}
		return 0, 0, 0, false
	}))
	return commits
}

// fewNames returns a warning if most of the capacity for names is used.
func fewNames(s postgres.NameSample) string {
	var all []string
	for _, kind := range []struct {
		name  string
		taken int
	}{{"agents", s.Agents}, {"models", s.Models}} {
		if float64(kind.taken) >= maxNames*float64(s.Limit) {
			all = append(all, fmt.Sprintf("%d of %d names of %s", kind.taken, s.Limit, kind.name))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, " and ") + " are taken: when all are, new names count as other"
}
