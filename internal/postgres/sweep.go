package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/mailbox"
	"github.com/watchbill/watchbill/internal/postgres/dbgen"
)

// Mailbox is the source of the replicas' mailboxes.
type Mailbox struct{ db *DB }

// NewMailbox makes the source.
func NewMailbox(db *DB) *Mailbox { return &Mailbox{db.reserved} }

// A sweep is one statement, so that what it returns and the watermark are of one snapshot. Its rows are of several
// kinds and come in any order. sqlc cannot type such a union, hence its place here.
//
// The watermark names the server's life and a pg_snapshot. The life is when the server started and when its statistics
// were last reset: recovery from a crash, which may give transaction ids out again, resets them. A row changed since
// then if its transaction was not visible in that snapshot; the index on changed_xid finds the candidates, from the
// oldest transaction that was still running. This is exact however transactions overlap, and whatever order they
// commit in.
const sweepChanges = `-- name: Sweep :many
WITH moved AS (
    SELECT d.agent_id FROM deployments d
    WHERE d.changed_xid >= pg_snapshot_xmin($2::text::pg_snapshot) AND NOT pg_visible_in_snapshot(d.changed_xid, $2::text::pg_snapshot)
    UNION
    SELECT t.agent_id FROM deleted_agents t JOIN agents a ON a.id = t.agent_id -- enrolled anew; the old one's deployments are gone
    WHERE t.changed_xid >= pg_snapshot_xmin($2::text::pg_snapshot) AND NOT pg_visible_in_snapshot(t.changed_xid, $2::text::pg_snapshot)
    UNION
    SELECT unnest($3::text[])
)` + sweepHead + `
UNION ALL
SELECT 'deleted', t.agent_id, NULL, NULL, NULL, NULL, NULL, NULL FROM deleted_agents t
WHERE t.changed_xid >= pg_snapshot_xmin($2::text::pg_snapshot) AND NOT pg_visible_in_snapshot(t.changed_xid, $2::text::pg_snapshot)
  AND NOT EXISTS (SELECT FROM agents a WHERE a.id = t.agent_id)
UNION ALL
SELECT 'agent', a.id, a.token_hash, a.poll_interval_seconds, a.enrolled_by, NULL, NULL, NULL FROM agents a
WHERE a.changed_xid >= pg_snapshot_xmin($2::text::pg_snapshot) AND NOT pg_visible_in_snapshot(a.changed_xid, $2::text::pg_snapshot)`

const sweepWhole = `-- name: SweepWhole :many
WITH moved AS (SELECT DISTINCT agent_id FROM deployments WHERE status = 'pending')` + sweepHead + `
UNION ALL
SELECT 'agent', a.id, a.token_hash, a.poll_interval_seconds, a.enrolled_by, NULL, NULL, NULL FROM agents a`

// $1 is how many of an agent's deployments its entity tag is made of.
const sweepHead = `
SELECT 'watermark' AS kind, EXTRACT(EPOCH FROM pg_postmaster_start_time())::text || '/' ||
           COALESCE(EXTRACT(EPOCH FROM pg_stat_get_bgwriter_stat_reset_time())::text, '') || '|' || pg_current_snapshot()::text AS name,
       NULL::bytea AS token_hash, NULL::int AS poll_interval_seconds, NULL::text AS enrolled_by,
       NULL::uuid[] AS ids, NULL::int[] AS attempts, NULL::float8 AS next_due
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
	server, snapshot, found := strings.Cut(since, "|")
	if !found {
		return s.sweepWhole(ctx, into)
	}
	if recheck == nil {
		recheck = []string{}
	}
	rows, err := s.db.pool.Query(ctx, sweepChanges, fleet.MaxPending, snapshot, recheck)
	if err != nil {
		return "", fault("sweep", err)
	}
	next, err := take(rows, into)
	if err != nil {
		return "", fault("sweep", err)
	}
	if !strings.HasPrefix(next, server+"|") {
		// Another server, or another life of this one: it may have lost transactions that the snapshot calls known.
		return s.sweepWhole(ctx, into)
	}
	return next, nil
}

func (s *Mailbox) sweepWhole(ctx context.Context, into mailbox.Sink) (string, error) {
	into.Whole()
	rows, err := s.db.pool.Query(ctx, sweepWhole, fleet.MaxPending)
	if err != nil {
		return "", fault("sweep everything", err)
	}
	next, err := take(rows, into)
	return next, fault("sweep everything", err)
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
		// An agent that is deleted after the statement found it fails the whole of it; it is not found again.
		if try == maxTries || !violates(err, foreignKeyViolation, "agent_presence_agent_id_fkey") {
			return err
		}
	}
}
