package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Mailbox implements mailbox.Source. Sweeps must not overlap.
type Mailbox struct {
	db   *DB
	life string // the database's life at the last full sweep
}

// NewMailbox returns the source of a replica's mailbox.
func NewMailbox(db *DB) *Mailbox { return &Mailbox{db: db.reserved} }

// A sweep is one statement, so that its rows and the watermark are of one snapshot. Its rows are of several kinds, in
// any order. It is not in queries/ because sqlc cannot type such a union.
//
// The watermark is the database's life (see life.go) and a pg_snapshot. A row changed since then if its
// transaction is not visible in that snapshot; the index on changed_xid finds the candidates, starting with the
// oldest transaction that was running. The result is exact however transactions overlap and in whatever order they
// commit. Ids that are not assigned yet are from another server's dump and are ignored. If the life has changed,
// only the watermark is returned.
const sweepChanges = `-- name: Sweep :many
WITH ` + lifeCTE + `, same AS MATERIALIZED (SELECT name = $4::text AS yes FROM life),
moved AS (
    SELECT c.agent_id FROM deployments c WHERE (SELECT yes FROM same) AND ` + changedSince + `
    UNION
    SELECT c.agent_id FROM deleted_agents c JOIN agents a ON a.id = c.agent_id -- enrolled again, or its deployments were deleted
    WHERE (SELECT yes FROM same) AND ` + changedSince + `
    UNION
    SELECT agent_id FROM unnest($3::text[]) AS asked (agent_id) WHERE (SELECT yes FROM same)
)` + sweepHead + `
UNION ALL
SELECT 'deleted', c.agent_id, NULL, NULL, NULL, NULL, NULL, NULL FROM deleted_agents c
WHERE (SELECT yes FROM same) AND ` + changedSince + `
  AND NOT EXISTS (SELECT FROM agents a WHERE a.id = c.agent_id)
UNION ALL
SELECT 'agent', c.id, c.token_hash, c.poll_interval_seconds, c.enrolled_by, NULL, NULL, NULL FROM agents c
WHERE (SELECT yes FROM same) AND ` + changedSince

const sweepWhole = `-- name: SweepWhole :many
WITH ` + lifeCTE + `, moved AS (SELECT DISTINCT agent_id FROM deployments WHERE status = 'pending')` + sweepHead + `
UNION ALL
SELECT 'agent', a.id, a.token_hash, a.poll_interval_seconds, a.enrolled_by, NULL, NULL, NULL FROM agents a`

// $1 is the maximum number of an agent's deployments that its entity tag covers.
const sweepHead = `
SELECT 'watermark' AS kind, life.name || '|' || pg_current_snapshot()::text AS name,
       NULL::bytea AS token_hash, NULL::int AS poll_interval_seconds, NULL::text AS enrolled_by,
       NULL::uuid[] AS ids, NULL::int[] AS attempts, NULL::float8 AS next_due
FROM life
UNION ALL
SELECT 'waiting', moved.agent_id, NULL, NULL, NULL, due.ids, due.attempts, later.next_due
FROM moved
CROSS JOIN LATERAL (
    SELECT array_agg(w.id ORDER BY w.created_at, w.id) AS ids, array_agg(w.attempt ORDER BY w.created_at, w.id) AS attempts
    FROM (
        SELECT id, attempt, created_at FROM deployments d
        WHERE d.agent_id = moved.agent_id AND d.status = 'pending' AND d.available_at <= now()
        ORDER BY d.created_at, d.id LIMIT $1::bigint
    ) AS w
) AS due
CROSS JOIN LATERAL (
    SELECT EXTRACT(EPOCH FROM min(d.available_at) - now())::float8 AS next_due FROM deployments d
    WHERE d.agent_id = moved.agent_id AND d.status = 'pending' AND d.available_at > now()
) AS later`

// Sweep implements mailbox.Source.
func (s *Mailbox) Sweep(ctx context.Context, since string, recheck []string, into mailbox.Sink) (string, error) {
	life, snapshot, found := strings.Cut(since, "|")
	if !found {
		return s.sweepWhole(ctx, into)
	}
	if recheck == nil {
		recheck = []string{}
	}
	rows, err := s.db.pool.Query(ctx, sweepChanges, fleet.MaxPending, snapshot, recheck, life)
	if err != nil {
		return "", wrap("sweep", err)
	}
	next, err := take(rows, into)
	if err != nil {
		return "", wrap("sweep", err)
	}
	if !strings.HasPrefix(next, life+"|") {
		return s.sweepWhole(ctx, into)
	}
	return next, nil
}

func (s *Mailbox) sweepWhole(ctx context.Context, into mailbox.Sink) (string, error) {
	const doing = "sweep everything"
	if err := s.db.checkRestored(ctx); err != nil { // a partly restored table lacks agents
		return "", wrap(doing, err)
	}
	into.Full()
	rows, err := s.db.pool.Query(ctx, sweepWhole, fleet.MaxPending)
	if err != nil {
		return "", wrap(doing, err)
	}
	next, err := take(rows, into)
	if err != nil {
		return "", wrap(doing, err)
	}
	life, _, _ := strings.Cut(next, "|")
	if err := s.db.checkLife(ctx, life); err != nil {
		return "", wrap(doing, err)
	}
	if s.life != "" && s.life != life {
		s.db.lives.Add(1)
	}
	s.life = life
	return next, nil
}

func take(rows pgx.Rows, into mailbox.Sink) (watermark string, err error) {
	var (
		kind, name string
		hash       []byte
		interval   *int32
		enrolledBy *string
		ids        []uuid.UUID
		attempts   []int32
		nextDue    *float64
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &name, &hash, &interval, &enrolledBy, &ids, &attempts, &nextDue}, func() error {
		switch kind {
		case "watermark":
			watermark = name
		case "deleted":
			into.Deleted(name)
		case "agent":
			into.Agent(name, fleet.TokenHash(hash), time.Duration(*interval)*time.Second, value(enrolledBy))
		case "waiting":
			due := make([]fleet.Waiting, len(ids))
			for i := range ids {
				due[i] = fleet.Waiting{ID: ids[i], Attempt: int(attempts[i])}
			}
			next := time.Duration(-1)
			if nextDue != nil {
				next = seconds(*nextDue)
			}
			into.Waiting(name, due, next)
		}
		return nil
	})
	return watermark, err
}

// SavePresence implements mailbox.Source.
func (s *Mailbox) SavePresence(ctx context.Context, seen []mailbox.Sighting) error {
	p := dbgen.SavePresenceParams{
		Ids: make([]string, len(seen)), Ages: make([]float64, len(seen)), Intervals: make([]float32, len(seen)),
	}
	for i, one := range seen {
		p.Ids[i], p.Ages[i], p.Intervals[i] = one.ID, one.Age.Seconds(), float32(one.Interval.Seconds())
	}
	for try := 1; ; try++ {
		err := s.db.inTx(ctx, "write last-seen", func(q *dbgen.Queries) error { return q.SavePresence(ctx, p) })
		// If an agent is deleted after the statement found it, the whole statement fails. A retry does not find it.
		if try == maxTries || !violates(err, foreignKeyViolation, "agent_presence_agent_id_fkey") {
			return err
		}
	}
}
