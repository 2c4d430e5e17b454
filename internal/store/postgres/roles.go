package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// role is what a transaction that touches executions takes; row-level security goes by it. None is inherited: a statement
// that took no role sees no execution.
type role string

const (
	writer role = "watchbill_writer" // may add rows, and see the keys of those it added
	admin  role = "watchbill_admin"  // sees and changes all
	user   role = "watchbill_user"   // sees those of one user
)

// inTxAs runs do in a transaction that has taken a role, as inTx would.
func (db *DB) inTxAs(ctx context.Context, as role, doing string, do func(tx pgx.Tx) error) error {
	return db.transact(ctx, doing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL ROLE "+string(as)); err != nil {
			return err
		}
		return do(tx)
	})
}

// inTxOf runs do in a transaction that sees what is a user's own.
func (db *DB) inTxOf(ctx context.Context, userID, doing string, do func(tx pgx.Tx) error) error {
	return db.inTxAs(ctx, user, doing, func(tx pgx.Tx) error {
		const become = `-- name: BecomeUser :exec
SELECT set_config('watchbill.user_id', $1, true)`
		if _, err := tx.Exec(ctx, become, userID); err != nil {
			return err
		}
		return do(tx)
	})
}

// Login is what the database's login may do with executions.
type Login struct {
	TakesRoles bool // as it must
	SeesAll    bool // without taking a role, as a superuser does, or one that inherits the roles
}

// Login looks at the login.
func (db *DB) Login(ctx context.Context) (l Login, err error) {
	err = db.pool.QueryRow(ctx, `-- name: Login :one
SELECT rolsuper OR rolbypassrls OR pg_has_role(oid, 'watchbill_admin', 'USAGE'),
	pg_has_role(oid, 'watchbill_admin', CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
FROM pg_roles WHERE rolname = current_user`).Scan(&l.SeesAll, &l.TakesRoles)
	return l, wrap("look at the login", err)
}
