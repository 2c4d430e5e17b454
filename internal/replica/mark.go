package replica

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	// markWithin limits how long a replica that shuts down waits for the database to store that.
	markWithin = 2 * time.Second

	maxFaults     = 20 // stored
	maxFaultBytes = 500
)

// mark stores that this replica runs, and how.
func (r *Replica) mark(ctx context.Context) error {
	pool, all := r.db.Pool(), r.faults()
	faults := make([]string, min(len(all), maxFaults))
	for i := range faults {
		faults[i] = text.Fit(all[i], maxFaultBytes)
	}
	return r.replicas.Mark(ctx, health.Replica{
		Name: r.name, Version: r.config.Version, Started: r.started, Faults: faults,
		PoolMax: int32(pool.Max), PoolInUse: int32(pool.InUse), PoolWaiting: int32(pool.Waiting),
	})
}

// markStopped stores that this replica shut down. Without that it is listed as lost.
func (r *Replica) markStopped() {
	err := within(context.Background(), markWithin, func(ctx context.Context) error { return r.replicas.MarkStopped(ctx, r.name) })
	if err != nil {
		r.log.Warn("cannot store that this replica stopped", zap.Error(err))
	}
}
