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

// maxTries is the maximum number of tries of a transaction that fails with a deadlock or serialization failure.
const maxTries = 4

// inTx runs do in a transaction and commits it. The transaction is committed if inTx returns nil. It is retried after a
// deadlock or serialization failure, so do must not keep state from a failed try.
func (db *DB) inTx(ctx context.Context, doing string, do func(q *dbgen.Queries) error) error {
	return db.transact(ctx, doing, func(tx pgx.Tx) error { return do(db.queries.WithTx(tx)) })
}

// transact runs do in a transaction, with the guarantees of inTx. Nearly all transactions are run by it.
func (db *DB) transact(ctx context.Context, doing string, do func(tx pgx.Tx) error) error {
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, db.pool, do)
		if err == nil {
			return nil
		}
		if gaveUp := ctx.Err(); errors.Is(gaveUp, context.Canceled) && !errors.Is(err, gaveUp) {
			err = fmt.Errorf("%w: %w", gaveUp, err) // an interrupted COPY returns only the connection's error
		}
		if code := sqlstate(err); try == maxTries || code != deadlockDetected && code != serializationFailure {
			return wrap(doing, err)
		}
		if !pause.For(ctx, rand.N(time.Duration(try)*10*time.Millisecond)) {
			return wrap(doing, fmt.Errorf("after a deadlock: %w", ctx.Err()))
		}
	}
}
