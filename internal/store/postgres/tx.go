package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// maxTries bounds how often a transaction that lost a deadlock is run again.
const maxTries = 4

// inTx runs do in a transaction and commits it. When it returns nil the transaction is committed. A deadlock or
// serialization failure is retried, so do must not keep anything from a run that failed.
func (db *DB) inTx(ctx context.Context, doing string, do func(q *dbgen.Queries) error) error {
	return db.transact(ctx, doing, func(tx pgx.Tx) error { return do(db.queries.WithTx(tx)) })
}

// transact is the one way to run a transaction: see inTx.
func (db *DB) transact(ctx context.Context, doing string, do func(tx pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, db.pool, do)
		if err == nil {
			return nil
		}
		if gaveUp := ctx.Err(); errors.Is(gaveUp, context.Canceled) && !errors.Is(err, gaveUp) {
			err = fmt.Errorf("%w: %w", gaveUp, err) // a copy that is cut off tells of its connection alone
		}
		if code := sqlstate(err); try == maxTries || code != deadlockDetected && code != serializationFailure {
			return wrap(doing, err)
		}
		if !pause.For(ctx, rand.N(time.Duration(try)*10*time.Millisecond)) {
			return wrap(doing, fmt.Errorf("after a deadlock: %w", ctx.Err()))
		}
	}
}
