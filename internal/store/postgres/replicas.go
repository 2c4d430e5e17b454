package postgres

import (
	"context"
	"time"

	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

const (
	maxReplicas = 200 // listed
	lostAfter   = time.Minute
)

// Replicas stores which replicas run. It uses connections that requests cannot use up.
type Replicas struct{ db *DB }

// NewReplicas returns a store of replicas.
func NewReplicas(db *DB) *Replicas { return &Replicas{db.reserved} }

// Mark stores the state of a replica that runs. Faults must not be nil.
func (s *Replicas) Mark(ctx context.Context, r health.Replica) error {
	return wrap("mark the replica", s.db.queries.MarkReplica(ctx, dbgen.MarkReplicaParams{
		Name: r.Name, Version: r.Version, StartedAt: r.Started, Faults: r.Faults, PoolMax: r.PoolMax, PoolInUse: r.PoolInUse, PoolWaiting: r.PoolWaiting,
	}))
}

// MarkStopped marks a replica as shut down.
func (s *Replicas) MarkStopped(ctx context.Context, name string) error {
	return wrap("mark the replica as stopped", s.db.queries.MarkReplicaStopped(ctx, name))
}

// CleanUp deletes replicas that were last seen a week ago.
func (s *Replicas) CleanUp(ctx context.Context) error {
	return wrap("delete old replicas", s.db.queries.DropOldReplicas(ctx))
}

// List returns the replicas of the last day, those that run first.
func (s *Replicas) List(ctx context.Context) ([]health.Replica, error) {
	rows, err := s.db.queries.ListReplicas(ctx, maxReplicas)
	if err != nil {
		return nil, wrap("list replicas", err)
	}
	all := make([]health.Replica, len(rows))
	for i, row := range rows {
		all[i] = health.Replica{
			Name: row.Name, Version: row.Version, Started: row.StartedAt, Seen: row.SeenAt, Faults: row.Faults,
			PoolMax: row.PoolMax, PoolInUse: row.PoolInUse, PoolWaiting: row.PoolWaiting,
		}
		if row.StoppedAt != nil {
			all[i].Stopped = *row.StoppedAt
		} else {
			all[i].Lost = row.Silent > lostAfter.Seconds()
		}
	}
	return all, nil
}
