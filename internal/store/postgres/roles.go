package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// role is the database role that a transaction takes to access executions; row-level security depends on it. Roles are
// not inherited: without taking one, a statement sees no execution.
type role string

const (
	writer role = "watchbill_writer" // adds rows, and sees the keys of rows that it added
	admin  role = "watchbill_admin"  // sees and changes all rows
	user   role = "watchbill_user"   // sees the rows of one user
)

// inTxAs runs do in a transaction with a role, with the guarantees of inTx.
func (db *DB) inTxAs(ctx context.Context, as role, doing string, do func(tx pgx.Tx) error) error {
	return db.transact(ctx, doing, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL ROLE "+string(as)); err != nil {
			return err
		}
		return do(tx)
	})
}

// inTxOf runs do in a transaction that sees only the rows of a user.
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

// Login describes the access of the database login to executions.
type Login struct {
	TakesRoles bool // it can take the roles, which is required
	SeesAll    bool // it sees all rows without taking a role, as a superuser does, or a login that inherits the roles
}

// Login returns the access of the database login.
func (db *DB) Login(ctx context.Context) (l Login, err error) {
	err = db.pool.QueryRow(ctx, `-- name: Login :one
SELECT rolsuper OR rolbypassrls OR pg_has_role(oid, 'watchbill_admin', 'USAGE'),
	pg_has_role(oid, 'watchbill_admin', CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
FROM pg_roles WHERE rolname = current_user`).Scan(&l.SeesAll, &l.TakesRoles)
	return l, wrap("look at the login", err)
}
