package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/execution"
)

// Executions stores executions and their rollups.
type Executions struct {
	db     *DB
	kept   ExecutionRetention
	now    func() time.Time
	price  func(*execution.Execution)
	days   days
	names  names
	scopes scopes
	recent recent

	foldHalvings atomic.Int32
	copies       copies
	tooDeep      atomic.Int64 // see TraceBounds
	tooLarge     atomic.Int64
}

// NewExecutions returns a store of executions.
func NewExecutions(db *DB, kept ExecutionRetention, now func() time.Time) *Executions {
	return &Executions{db: db, kept: kept, now: now}
}

// PriceBy sets the function that prices executions merged from several spans. It sets an execution's cost and price
// version. PriceBy must be called before any other method.
func (s *Executions) PriceBy(price func(*execution.Execution)) { s.price = price }

// Commit stores a batch in one transaction: its new executions, their deltas of the rollups, and its spans. The batch
// is committed when Commit returns nil. The executions must be valid and within the retention.
func (s *Executions) Commit(ctx context.Context, batch execution.Batch) (execution.Committed, error) {
	if err := s.prepare(ctx, batch); err != nil {
		return execution.Committed{}, err
	}
	copied := s.copies.mayCopy(batch, s.now()) && s.daysAreOpen(batch)
	done, err := s.commit(ctx, batch, copied)
	var refused *pgconn.PgError
	switch isPgError := errors.As(err, &refused); {
	case errors.Is(err, errDetached), isPgError && refused.Code == checkViolation && refused.ConstraintName == "", copied && isPgError && refused.Code == undefinedTable:
		s.days.forget() // another replica has dropped a partition
		if err := s.prepare(ctx, batch); err != nil {
			return execution.Committed{}, err
		}
	case copied && isPgError && s.copies.failed(refused.Code, s.now()):
	default:
		return done, err
	}
	return s.commit(ctx, batch, false)
}

// prepare creates the partitions and registers the names that the batch's transaction requires.
func (s *Executions) prepare(ctx context.Context, batch execution.Batch) error {
	if err := s.names.refresh(ctx, s.db, s.now()); err != nil {
		return err
	}
	s.days.follow(s.db.lives.Load())
	var last time.Time
	for i := range batch.Executions {
		if day := batch.Executions[i].CreatedAt.Truncate(execution.DayWide); !day.Equal(last) {
			if err := s.ensureDay(ctx, day); err != nil {
				return err
			}
			last = day
		}
	}
	return s.names.learn(ctx, s.db, batch)
}

// commit implements Commit after prepare. If copied is set, rows are copied, which fails unless all of them are new.
func (s *Executions) commit(ctx context.Context, batch execution.Batch, copied bool) (execution.Committed, error) {
	var done execution.Committed
	var stored *intake
	err := s.db.transact(ctx, "store executions", func(tx pgx.Tx) error {
		if err := s.becomeWriter(ctx, tx, !copied); err != nil {
			return err
		}
		family, err := s.familyOf(ctx, tx, batch)
		if err != nil {
			return err
		}
		intake, err := s.intakeOf(ctx, tx, batch, family, copied)
		if err != nil {
			return err
		}
		isNew := make([]bool, len(intake.rows))
		if copied {
			for i := range isNew {
				isNew[i] = true
			}
		} else if err := s.insertNew(ctx, tx, intake.rows, isNew); err != nil {
			return err
		}
		done = committed(len(batch.Executions), intake, isNew)
		deltas := execution.NewDeltas()
		var unsettled []waiting
		done.Settled = make([]execution.Execution, 0, len(intake.rows))
		for i := range intake.rows {
			row, at := &intake.rows[i], intake.from[i]
			if !isNew[i] {
				continue
			}
			deltas.Add(row, 1)
			switch d := family.decision(at); {
			case intake.again[at]: // its span was stored before, and it may have moved to another user since
				unsettled = append(unsettled, waiting{row: row, now: true, heard: true})
			case intake.partner[at] || family.older && d != nil && family.nodes[family.at[at]].Role != execution.RoleNone:
				unsettled = append(unsettled, waiting{row: row, now: true})
			case d != nil && (d.Missing != "" || d.Rest.Used > 0):
				unsettled = append(unsettled, waiting{row: row})
			default:
				done.Settled = append(done.Settled, row.Execution)
			}
		}
		for i := range intake.parts {
			unsettled = append(unsettled, waiting{row: &intake.parts[i]})
		}
		if err := s.keepJoined(ctx, tx, intake.joined); err != nil {
			return err
		}
		if err := keepUnsettled(ctx, tx, intake.spans, unsettled); err != nil {
			return err
		}
		stored = intake
		if copied {
			if err := s.copyNew(ctx, tx, intake); err != nil {
				return err
			}
		}
		return s.appendDeltas(ctx, tx, deltas)
	})
	if err == nil {
		s.recent.remember(stored)
	}
	return done, err
}

// committed returns the outcome of all executions of a batch.
func committed(all int, in *intake, isNew []bool) execution.Committed {
	done := execution.Committed{New: make([]bool, all)}
	for i, at := range in.from {
		done.New[at] = isNew[i]
	}
	for _, at := range in.merged {
		done.New[at] = true // stored as a part of another's row
	}
	for _, at := range in.erased {
		if done.Erased == nil {
			done.Erased = make([]bool, all)
		}
		done.Erased[at] = true
	}
	return done
}

// becomeWriter takes the writer's role. If staging is set, it creates the staging table unless it exists. The session
// keeps the table for later transactions. With a pooler it is dropped at the end of the transaction, since sessions are
// shared, also by replicas of other versions.
func (s *Executions) becomeWriter(ctx context.Context, tx pgx.Tx, staging bool) error {
	const role = "-- name: BecomeWriter :exec\nSET LOCAL ROLE watchbill_writer"
	if !staging {
		_, err := tx.Exec(ctx, role)
		return err
	}
	ends := "DELETE ROWS"
	if s.db.pooler {
		ends = "DROP"
	}
	_, err := tx.Exec(ctx, `-- name: BecomeWriter :exec
DO $$
BEGIN
	PERFORM pg_current_xact_id(); -- those that begin later see that this one is under way: see lookups
	IF to_regclass('pg_temp.staged_executions') IS NULL THEN
		CREATE TEMPORARY TABLE staged_executions (LIKE agent_executions INCLUDING DEFAULTS) ON COMMIT `+ends+`;
		GRANT INSERT, SELECT ON staged_executions TO watchbill_writer;
	END IF;
END
$$;
SET LOCAL ROLE watchbill_writer`)
	return err
}

const executionColumns = `user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status,
	error_message, execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens,
	cache_write_tokens, reasoning_tokens, cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped, input_json, output_json,
	usage, billing, provider_cost_nano_usd, joined`

// insertStaged inserts rows in key order, as in every transaction that writes several, to avoid deadlocks.
const insertStaged = `-- name: InsertNewExecutions :many
INSERT INTO agent_executions (` + executionColumns + `)
SELECT ` + executionColumns + ` FROM pg_temp.staged_executions
ORDER BY user_id, created_at, execution_id
ON CONFLICT (user_id, created_at, execution_id) DO NOTHING
RETURNING user_id, created_at, execution_id`

type executionKey struct {
	user string
	at   int64 // microseconds since 1970
	id   string
}

func keyOf(e *execution.Execution) executionKey {
	return executionKey{e.UserID, e.CreatedAt.UnixMicro(), e.ID}
}

// insertNew inserts the rows whose key does not exist and sets isNew for them. Of rows with the same
// key it uses the first.
func (s *Executions) insertNew(ctx context.Context, tx pgx.Tx, rows []execution.Row, isNew []bool) error {
	if len(rows) == 0 {
		return nil
	}
	index := make(map[executionKey]int, len(rows))
	staged := make([]*execution.Row, 0, len(rows))
	for i := range rows {
		key := keyOf(&rows[i].Execution)
		if _, twice := index[key]; !twice {
			index[key] = i
			staged = append(staged, &rows[i])
		}
	}
	if err := s.stage(ctx, tx, len(staged), func(i int) *execution.Row { return staged[i] }); err != nil {
		return err
	}
	inserted, err := tx.Query(ctx, insertStaged)
	if err != nil {
		return err
	}
	var key executionKey
	var at time.Time
	_, err = pgx.ForEachRow(inserted, []any{&key.user, &at, &key.id}, func() error {
		key.at = at.UnixMicro()
		isNew[index[key]] = true
		return nil
	})
	return err
}

// stage copies n rows into the staging table.
func (s *Executions) stage(ctx context.Context, tx pgx.Tx, n int, row func(i int) *execution.Row) error {
	return s.db.copyRows(ctx, tx, pgx.Identifier{"pg_temp", "staged_executions"}, "", executionColumns, n,
		func(to *copyRow, i int) { writeRow(to, row(i)) })
}

// writeRow encodes a row's executionColumns.
func writeRow(to *copyRow, r *execution.Row) {
	to.texts(r.UserID)
	to.timestamptz(r.CreatedAt)
	to.texts(r.ID, r.SessionID, r.RequestID, r.AgentName, string(r.Kind))
	to.boolean(r.Request)
	to.texts(r.Variant, string(r.Status), r.ErrorMessage)
	to.double(milliseconds(r.Duration))
	to.texts(r.Provider, r.Model)
	to.tokens(r.Tokens)
	to.optionalBigint(r.Cost)
	to.texts(r.PriceVersion, r.TraceID, r.SpanID, r.ParentSpanID)
	to.smallint(int16(r.Capped))
	to.optionalText(r.Input)
	to.optionalText(r.Output)
	to.texts(string(r.Usage))
	to.jsonb(encodeBilling(r.Billing))
	to.optionalBigint(r.ProviderCost)
	to.jsonb(encodeJoined(r.Joined))
}

// encodeBilling returns billing as JSON, or nil if it is zero.
func encodeBilling(billing execution.Billing) json.RawMessage {
	if billing == (execution.Billing{}) {
		return nil
	}
	return mustMarshal(billing)
}

func encodeJoined(joined []execution.Joined) json.RawMessage {
	if len(joined) == 0 {
		return nil
	}
	return mustMarshal(joined)
}

// mustMarshal encodes a value that consists of strings and numbers, for which encoding cannot fail.
func mustMarshal(v any) json.RawMessage {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encoded
}

func (r *copyRow) optionalBigint(n *int64) {
	if n == nil {
		r.null()
		return
	}
	r.bigints(*n)
}

func (r *copyRow) tokens(t execution.Tokens) {
	r.bigints(t.Used, t.Input, t.Output, t.CacheRead, t.CacheWrite, t.Reasoning)
}

func (r *copyRow) evidence(v execution.Evidence) {
	r.bigints(v.UnknownUsage, v.Estimated, v.Provider, v.ProviderUnpriced, v.ProviderCompared)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

const (
	cellDeltaColumns = `bucket, agent, model, status, request, count, time_us, tokens_used, input_tokens, output_tokens,
	cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens,
	unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd, provider_compared_nano_usd, durations`
	userDeltaColumns = `bucket, user_id, model, requests, tokens_used, input_tokens, output_tokens,
	cache_read_tokens, cache_write_tokens, reasoning_tokens, cost_nano_usd, unpriced_tokens,
	unknown_usage, estimated_nano_usd, provider_cost_nano_usd, provider_unpriced_nano_usd, provider_compared_nano_usd`
)

// appendDeltas stores a transaction's deltas of the rollups. It is the transaction's last step.
func (s *Executions) appendDeltas(ctx context.Context, tx pgx.Tx, d execution.Deltas) error {
	if len(d.Cells) > 0 {
		keys := slices.Collect(maps.Keys(d.Cells))
		err := s.db.copyRows(ctx, tx, pgx.Identifier{"execution_deltas"}, "", cellDeltaColumns, len(keys), func(to *copyRow, i int) {
			key, m := keys[i], d.Cells[keys[i]]
			to.timestamptz(time.Unix(key.Minute, 0))
			to.texts(key.Agent, key.Model, string(key.Status))
			to.boolean(key.Request)
			to.bigints(m.Count, m.Micros)
			to.tokens(m.Tokens)
			to.bigints(m.Cost, m.Unpriced)
			to.evidence(m.Evidence)
			to.bytea(m.Durations.Encode())
		})
		if err != nil {
			return err
		}
	}
	keys := make([]execution.UserKey, 0, len(d.Users))
	for key, spend := range d.Users {
		if *spend != (execution.Spend{}) { // zero if there was neither a request nor model usage
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.db.copyRows(ctx, tx, pgx.Identifier{"user_deltas"}, "", userDeltaColumns, len(keys), func(to *copyRow, i int) {
		key, spend := keys[i], d.Users[keys[i]]
		to.timestamptz(time.Unix(key.Quarter, 0))
		to.texts(key.User, key.Model)
		to.bigints(spend.Requests)
		to.tokens(spend.Tokens)
		to.bigints(spend.Cost, spend.Unpriced)
		to.evidence(spend.Evidence)
	})
}
