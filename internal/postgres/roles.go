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

// SeesAll says whether the login sees every execution without taking a role: as a superuser does, or one that inherits
// the roles.
func (db *DB) SeesAll(ctx context.Context) (all bool, err error) {
	err = db.pool.QueryRow(ctx, `-- name: SeesAll :one
SELECT rolsuper OR rolbypassrls OR pg_has_role(oid, 'watchbill_admin', 'USAGE') FROM pg_roles WHERE rolname = current_user`).Scan(&all)
	return all, fault("look at the login", err)
}
