package postgres

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// Nearly always every row of a batch is new. Such a batch is copied into the tables (COPY), which costs less than
// half of INSERT … ON CONFLICT DO NOTHING. If a row exists, the transaction fails and PostgreSQL logs its key;
// the batch is then inserted.

const (
	// carefulFor is how long batches are inserted after one could not be copied.
	carefulFor = time.Minute
	// rememberedIDs is the number of ids remembered, so that a batch that is sent again soon is not
	// copied. A power of two.
	rememberedIDs = 1 << 18
)

// copies decides whether a batch is copied.
type copies struct {
	mu      sync.Mutex
	careful time.Time // batches are inserted until then
	seed    maphash.Seed
	seen    []uint32 // hash table of recent ids: the low bits of a hash are the index, the high bits the value
}

// mayCopy reports whether a batch may be copied: none of its ids was seen recently, and no copy failed recently. It
// remembers the ids.
func (c *copies) mayCopy(batch execution.Batch, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seed, c.seen = maphash.MakeSeed(), make([]uint32, rememberedIDs)
	}
	known := false
	note := func(texts ...string) {
		var h maphash.Hash
		h.SetSeed(c.seed)
		for _, text := range texts {
			_, _ = h.WriteString(text)
			_ = h.WriteByte(0)
		}
		sum := h.Sum64()
		at, part := &c.seen[sum%rememberedIDs], uint32(sum>>32)|1
		known = known || *at == part
		*at = part
	}
	for i := range batch.Executions {
		e := &batch.Executions[i]
		note(e.UserID, e.ID)
	}
	for i := range batch.Spans {
		s := &batch.Spans[i]
		if !s.Execution { // otherwise its execution's id is remembered
			note(s.TraceID, s.SpanID)
		}
	}
	return !known && !now.Before(c.careful)
}

// failed records that a copy failed with an SQLSTATE, and reports whether the batch should be inserted instead.
func (c *copies) failed(code string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch code {
	case uniqueViolation, insufficientPrivilege, featureNotSupported: // the last two: the login does not own the tables
		c.careful = now.Add(carefulFor)
		return true
	}
	return false
}

// daysAreOpen reports whether rows can be copied into all partitions of a batch.
func (s *Executions) daysAreOpen(batch execution.Batch) bool {
	var last time.Time
	for i := range batch.Executions {
		day := batch.Executions[i].CreatedAt.Truncate(execution.DayWide)
		if !day.Equal(last) && !s.days.open(partitionOf(day)) {
			return false
		}
		last = day
	}
	return true
}

// copyNew copies a batch's spans and rows as the owner of the tables, since row-level security prevents others from
// copying. Rows are written in key order, as in every transaction that writes several, to avoid deadlocks.
func (s *Executions) copyNew(ctx context.Context, tx pgx.Tx, in *intake) error {
	if _, err := tx.Exec(ctx, "-- name: BecomeOwner :exec\nSET LOCAL ROLE NONE"); err != nil {
		return err
	}
	if err := s.copySpans(ctx, tx, in); err != nil {
		return err
	}
	if len(in.rows) == 0 {
		return nil
	}
	order := make([]int32, len(in.rows))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(i, j int32) int {
		a, b := &in.rows[i], &in.rows[j]
		return cmp.Or(cmp.Compare(a.CreatedAt.Unix()/daySeconds, b.CreatedAt.Unix()/daySeconds),
			cmp.Compare(a.UserID, b.UserID), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	var partitions []string
	for len(order) > 0 {
		partition := partitionOf(in.rows[order[0]].CreatedAt)
		n := 1
		for n < len(order) && in.rows[order[n]].CreatedAt.Unix()/daySeconds == in.rows[order[0]].CreatedAt.Unix()/daySeconds {
			n++
		}
		ofDay := order[:n]
		err := s.db.copyRows(ctx, tx, pgx.Identifier{partition}, "agent_executions", executionColumns, n,
			func(to *copyRow, i int) { writeRow(to, &in.rows[ofDay[i]]) })
		if err != nil {
			return err
		}
		partitions, order = append(partitions, partition), order[n:]
	}
	// A detached partition that is not dropped yet still accepts rows. One that is attached now remains
	// so until this transaction ends.
	var attached int
	if err := tx.QueryRow(ctx, `-- name: CountPartitions :one
SELECT count(*) FROM unnest($1::text[]) AS p (name) JOIN pg_inherits i ON i.inhrelid = to_regclass(p.name)
WHERE i.inhparent = 'agent_executions'::regclass AND NOT i.inhdetachpending`, partitions).Scan(&attached); err != nil {
		return err
	}
	if attached < len(partitions) {
		return errDetached
	}
	return nil
}

var errDetached = errors.New("a partition was detached")

const daySeconds = int64(execution.DayWide / time.Second)

const spanCopyColumns = `trace_id, span_id, parent_span_id, agent, user_id, session_id, execution, started_at, ended_at,
	facts, scope, process, response, similar_to, owner, gone`

// copySpans copies a batch's spans except those already inserted.
func (s *Executions) copySpans(ctx context.Context, tx pgx.Tx, in *intake) error {
	if len(in.copied) == 0 {
		return nil
	}
	slices.SortFunc(in.copied, func(i, j int32) int {
		a, b := &in.spans[i], &in.spans[j]
		return cmp.Or(cmp.Compare(a.TraceID, b.TraceID), cmp.Compare(a.SpanID, b.SpanID))
	})
	p := in.places
	return s.db.copyRows(ctx, tx, pgx.Identifier{"span_ancestors"}, "", spanCopyColumns, len(in.copied), func(to *copyRow, n int) {
		i := in.copied[n]
		s, k := &in.spans[i], &p.keys[i]
		to.texts(s.TraceID, s.SpanID, s.ParentSpanID, s.Agent, s.User, s.Session)
		to.boolean(s.Execution)
		to.timestamptz(s.StartedAt)
		to.timestamptz(s.EndedAt)
		to.smallint(spanFacts(s))
		to.bigints(k.scope, k.process, k.response, k.similar)
		to.texts(p.owners[i])
		to.boolean(p.gone[i])
	})
}
