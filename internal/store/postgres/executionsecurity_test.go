package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// insufficientPrivilege is the SQLSTATE of a missing permission.
const insufficientPrivilege = "42501"

func refused(err error) bool {
	var fault *pgconn.PgError
	return errors.As(err, &fault) && fault.Code == insufficientPrivilege
}

// TestRowLevelSecurity tries to read one user's executions as another user, in every possible way.
func TestRowLevelSecurity(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	secret := anExecution(func(e *execution.Execution) { e.UserID, e.Status = "victim", execution.Failure })
	commit(t, s, secret, anExecution(func(e *execution.Execution) { e.UserID = "curious" }))
	commitWaiting(t, s)
	if _, err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, db, `SELECT count(*) FROM pg_class WHERE relrowsecurity AND (relforcerowsecurity OR NOT has_table_privilege(oid, 'SELECT, UPDATE, DELETE, TRUNCATE')) AND relname IN ('user_rollups', 'span_ancestors', 'unsettled_executions', 'joined_executions')`); n != 4 {
		t.Errorf("want four more tables guarded, got %d", n)
	}
	partition := "agent_executions_" + secret.CreatedAt.Format("20060102")

	ways := map[string]string{
		"rows":               `SELECT count(*) FROM agent_executions WHERE user_id = 'victim'`,
		"the partition":      `SELECT count(*) FROM ` + partition + ` WHERE user_id = 'victim'`,
		"all rows":           `SELECT count(*) FROM agent_executions WHERE NOT user_id = 'curious'`,
		"by key":             `SELECT count(*) FROM agent_executions WHERE execution_id = '` + secret.ID + `'`,
		"errors":             `SELECT count(*) FROM agent_executions WHERE status = 'failure'`,
		"through a join":     `SELECT count(*) FROM generate_series(1, 3) JOIN agent_executions e ON e.user_id <> 'curious'`,
		"through a leak":     `SELECT count(*) FROM agent_executions WHERE user_id <> 'curious' AND length(error_message) >= 0`,
		"changing":           `WITH gone AS (UPDATE agent_executions SET status = status WHERE user_id = 'victim' RETURNING 1) SELECT count(*) FROM gone`,
		"deleting":           `WITH gone AS (DELETE FROM agent_executions WHERE user_id = 'victim' RETURNING 1) SELECT count(*) FROM gone`,
		"the user's rollups": `SELECT count(*) FROM user_rollups WHERE user_id = 'victim'`,
		"the user's deltas":  `SELECT count(*) FROM user_deltas WHERE user_id = 'victim'`,
		"what waits":         `SELECT count(*) FROM unsettled_executions`,
		"spans":              `SELECT count(*) FROM span_ancestors`,
		"what was merged":    `SELECT count(*) FROM joined_executions`,
		"erasures":           `SELECT count(*) FROM erasures`,
	}
	for who, become := range map[string]string{
		"another user":           `SET LOCAL ROLE watchbill_user; SET LOCAL watchbill.user_id = 'curious'`,
		"a user without a name":  `SET LOCAL ROLE watchbill_user; SET LOCAL watchbill.user_id = ''`,
		"nobody yet":             `SET LOCAL ROLE watchbill_user`,
		"the owner without role": `SELECT 1`,
	} {
		for way, sql := range ways {
			if who == "the owner without role" && (way == "the user's deltas" || way == "erasures") {
				continue // COPY into a protected table is not permitted, and erasures hold only hashes
			}
			var seen int
			err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), become); err != nil {
					return err
				}
				return tx.QueryRow(t.Context(), sql).Scan(&seen)
			})
			if seen != 0 || err != nil && !refused(err) {
				t.Errorf("%s, %s: want nothing or a refusal, got %d rows, %v", who, way, seen, err)
			}
		}
	}
	if got, err := s.UserActivity(t.Context(), "curious", execution.Position{}, 100); err != nil || len(got) != 1 || got[0].UserID != "curious" {
		t.Errorf("one's own: want the one, got %v, %v", got, err)
	}
	for _, name := range []string{"nobody", "victim' OR true --", "%", ""} {
		if got, err := s.UserActivity(t.Context(), name, execution.Position{}, 100); err != nil || len(got) != 0 {
			t.Errorf("%q: want nothing, got %v, %v", name, got, err)
		}
	}
	// The query's own condition is only there for the index: without it the rows are the same.
	var own int
	err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_user; SET LOCAL watchbill.user_id = 'curious'`); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), `SELECT count(*) FROM agent_executions`).Scan(&own)
	})
	if err != nil || own != 1 {
		t.Errorf("without a condition: want one's own one row, got %d, %v", own, err)
	}
}

// commitWaiting stores an execution that waits for its ancestors, and its span.
func commitWaiting(t *testing.T, s *postgres.Executions) {
	t.Helper()
	e := anExecution(func(e *execution.Execution) {
		e.UserID, e.TraceID, e.SpanID, e.ParentSpanID = execution.Unknown, fmt.Sprintf("%032x", 1), fmt.Sprintf("%016x", 2), fmt.Sprintf("%016x", 1)
	})
	span := execution.Span{TraceID: e.TraceID, SpanID: e.SpanID, ParentSpanID: e.ParentSpanID, User: "victim", Execution: true}
	if _, err := s.Commit(t.Context(), execution.Batch{Executions: []execution.Execution{e}, Spans: []execution.Span{span}}); err != nil {
		t.Fatal(err)
	}
}

// TestWriterReadsOnlyKeys checks that the role that stores executions cannot read what others stored.
func TestWriterReadsOnlyKeys(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	commit(t, newExecutions(t, db), anExecution())
	for sql, allowed := range map[string]bool{
		`SELECT count(execution_id) FROM agent_executions`: true,
		`SELECT count(input_data) FROM agent_executions`:   false,
		`SELECT count(output_json) FROM agent_executions`:  false,
		`SELECT count(agent_name) FROM agent_executions`:   false,
		`DELETE FROM agent_executions`:                     false,
		`UPDATE agent_executions SET status = 'success'`:   false,
		`SELECT count(*) FROM user_rollups`:                false,
	} {
		err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_writer`); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		if (err == nil) != allowed || err != nil && !refused(err) {
			t.Errorf("%s: want allowed %v, got %v", sql, allowed, err)
		}
	}
}
