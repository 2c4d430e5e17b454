package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Errors returns up to most failed executions after the given position, newest first.
func (s *Executions) Errors(ctx context.Context, after execution.Position, limit int) ([]execution.Execution, error) {
	var found []execution.Execution
	err := s.db.inTxAs(ctx, admin, "list errors", func(tx pgx.Tx) error {
		before, user, id := s.beforeOf(after)
		rows, err := s.db.queries.WithTx(tx).RecentFailures(ctx, dbgen.RecentFailuresParams{
			Before: before, BeforeUser: user, BeforeID: id, MaxRows: int32(limit),
		})
		found = executionsOf(rows)
		return err
	})
	return found, err
}

// UserActivity returns up to most of a user's executions after the given position, newest first. It runs as that user,
// so that row-level security hides those of others.
func (s *Executions) UserActivity(ctx context.Context, userID string, after execution.Position, limit int) ([]execution.Execution, error) {
	var found []execution.Execution
	err := s.db.inTxOf(ctx, userID, "list a user's activity", func(tx pgx.Tx) error {
		before, _, id := s.beforeOf(after)
		rows, err := s.db.queries.WithTx(tx).UserActivity(ctx, dbgen.UserActivityParams{
			UserID: userID, Before: before, BeforeID: id, MaxRows: int32(limit),
		})
		found = executionsOf(rows)
		return err
	})
	return found, err
}

// beforeOf returns the key of a position: the next rows sort before it. For the zero position all rows do.
func (s *Executions) beforeOf(after execution.Position) (at time.Time, user, id string) {
	if after == (execution.Position{}) {
		return s.now().Add(execution.DayWide), "", ""
	}
	return time.UnixMicro(after.CreatedAt), after.UserID, after.ID
}

// eraseAtOnce is the maximum number of a user's executions deleted in one transaction.
const eraseAtOnce = 2000

// EraseUser deletes a user's executions and their share of the rollups, including what remains there of
// executions that retention deleted before. Executions of the user that arrive later but began before the
// erasure are dropped: see Commit.
func (s *Executions) EraseUser(ctx context.Context, userID string) (execution.Erased, error) {
	var erased execution.Erased
	if err := s.rememberErasure(ctx, userID); err != nil {
		return erased, err
	}
	for last := false; ; {
		var rows, rollups int64
		err := s.db.inTxAs(ctx, admin, "erase a user", func(tx pgx.Tx) (err error) {
			rows, rollups, err = s.eraseSome(ctx, tx, userID, last)
			return err
		})
		if err != nil {
			return erased, err
		}
		erased.Executions += rows
		switch {
		case rows >= eraseAtOnce: // more may follow
		case last:
			erased.Rollups = rollups
			return erased, nil
		default:
			last = true
		}
	}
}

// eraseSome deletes up to eraseAtOnce of a user's executions. If last is set and there were fewer, it also deletes the
// rest of the user's data. It blocks folding only if last is set: a concurrent fold would restore what is deleted, but
// blocking it while millions of executions are erased would let deltas pile up, which readers must sum.
func (s *Executions) eraseSome(ctx context.Context, tx pgx.Tx, userID string, last bool) (rows, rollups int64, err error) {
	q := s.db.queries.WithTx(tx)
	if last {
		if err := q.LockFolding(ctx); err != nil {
			return 0, 0, err
		}
	}
	gone, err := q.EraseExecutions(ctx, dbgen.EraseExecutionsParams{UserID: userID, MaxRows: eraseAtOnce})
	if err != nil {
		return 0, 0, err
	}
	deltas := execution.NewDeltas()
	for i := range gone {
		row := rowOf(gone[i])
		deltas.Add(&row, -1)
	}
	if err := s.appendDeltas(ctx, tx, deltas); err != nil || !last || len(gone) >= eraseAtOnce {
		return int64(len(gone)), 0, err
	}
	if err := eraseFromReports(ctx, tx, userID); err != nil {
		return 0, 0, err
	}
	rollups, err = s.eraseRest(ctx, q, userID)
	return int64(len(gone)), rollups, err
}

// eraseRest deletes the remaining data of a user whose executions are deleted, and returns
// the number of deleted rollups.
func (s *Executions) eraseRest(ctx context.Context, q *dbgen.Queries, userID string) (rollups int64, err error) {
	if err := q.EraseUnsettled(ctx, userID); err != nil {
		return 0, err
	}
	for _, erase := range []func(context.Context, string) error{q.EraseSpans, q.EraseSpanOwners, q.EraseJoined} {
		if err := erase(ctx, userID); err != nil {
			return 0, err
		}
	}
	for {
		folded, err := q.FoldUserDeltas(ctx, dbgen.FoldUserDeltasParams{OfUser: &userID, MaxRows: foldUsersAtOnce})
		if err != nil {
			return 0, err
		}
		if folded < foldUsersAtOnce {
			break
		}
	}
	return q.EraseUserRollups(ctx, dbgen.EraseUserRollupsParams{
		UserID: userID, RowsSince: s.now().Add(-s.kept.Executions).Truncate(execution.DayWide),
	})
}

func executionsOf(rows []dbgen.AgentExecution) []execution.Execution {
	all := make([]execution.Execution, len(rows))
	for i, r := range rows {
		all[i] = rowOf(dbgen.ExecutionFigure{
			UserID: r.UserID, CreatedAt: r.CreatedAt, ExecutionID: r.ExecutionID, SessionID: r.SessionID, RequestID: r.RequestID,
			AgentName: r.AgentName, Kind: r.Kind, Request: r.Request, Variant: r.Variant, Status: r.Status, ErrorMessage: r.ErrorMessage,
			ExecutionTimeMs: r.ExecutionTimeMs, Provider: r.Provider, ModelUsed: r.ModelUsed, TokensUsed: r.TokensUsed,
			InputTokens: r.InputTokens, OutputTokens: r.OutputTokens, CacheReadTokens: r.CacheReadTokens,
			CacheWriteTokens: r.CacheWriteTokens, ReasoningTokens: r.ReasoningTokens, CostNanoUsd: r.CostNanoUsd,
			PriceVersion: r.PriceVersion, TraceID: r.TraceID, SpanID: r.SpanID, ParentSpanID: r.ParentSpanID, Capped: r.Capped,
			Usage: r.Usage, Billing: r.Billing, ProviderCostNanoUsd: r.ProviderCostNanoUsd, Joined: r.Joined,
		}).Execution
		all[i].Input, all[i].Output = either(r.InputJson, r.InputData), either(r.OutputJson, r.OutputData)
	}
	return all
}

// either returns a payload from the column of this release, or from the jsonb column of an earlier one.
func either(text *string, binary []byte) json.RawMessage {
	if text != nil {
		return json.RawMessage(*text)
	}
	return binary
}

// rowOf returns a row without payloads.
func rowOf(r dbgen.ExecutionFigure) execution.Row {
	return execution.Row{Capped: execution.Capped(r.Capped), Execution: execution.Execution{
		ID: r.ExecutionID, CreatedAt: r.CreatedAt.UTC(), UserID: r.UserID, SessionID: r.SessionID, RequestID: r.RequestID,
		AgentName: r.AgentName, Kind: execution.Kind(r.Kind), Variant: r.Variant, Status: execution.Status(r.Status),
		ErrorMessage: r.ErrorMessage, Duration: microseconds(r.ExecutionTimeMs), Provider: r.Provider, Model: r.ModelUsed,
		Tokens: execution.Tokens{
			Used: r.TokensUsed, Input: r.InputTokens, Output: r.OutputTokens,
			CacheRead: r.CacheReadTokens, CacheWrite: r.CacheWriteTokens, Reasoning: r.ReasoningTokens,
		},
		Cost: r.CostNanoUsd, PriceVersion: r.PriceVersion,
		Usage: execution.Usage(r.Usage), Billing: decoded[execution.Billing](r.Billing), ProviderCost: r.ProviderCostNanoUsd,
		Joined:  decoded[[]execution.Joined](r.Joined),
		TraceID: r.TraceID, SpanID: r.SpanID, ParentSpanID: r.ParentSpanID, Request: r.Request,
	}}
}

// decoded decodes a JSON column. It returns the zero value if the column is NULL or cannot be decoded.
func decoded[T any](column json.RawMessage) (value T) {
	if column == nil {
		return value
	}
	if err := json.Unmarshal(column, &value); err != nil {
		return *new(T)
	}
	return value
}

func microseconds(ms float64) time.Duration {
	return time.Duration(ms*1e3+0.5) * time.Microsecond
}
