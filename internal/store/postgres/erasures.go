package postgres

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// userHash returns the hash under which an erasure is recorded.
func userHash(userID string) []byte {
	hash := sha256.Sum256([]byte("watchbill erasure\x00" + userID))
	return hash[:]
}

// rememberErasure records an erasure: executions of the user that began before now are no longer stored. When it
// returns, all transactions that missed the record have ended, since its lock waits for those that have read the table
// and blocks new readers.
func (s *Executions) rememberErasure(ctx context.Context, userID string) error {
	if userID == execution.Unknown { // ancestors that arrive later may give such executions to other users
		return nil
	}
	return s.db.inTxAs(ctx, admin, "remember an erasure", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `-- name: LockErasures :exec
SET LOCAL lock_timeout = '5s';
LOCK TABLE erasures IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `-- name: RememberErasure :exec
INSERT INTO erasures (user_hash, erased_at) VALUES ($1, clock_timestamp())
ON CONFLICT (user_hash) DO UPDATE SET erased_at = GREATEST(erasures.erased_at, EXCLUDED.erased_at)`, userHash(userID))
		return err
	})
}

// erasures maps erased users to the time of their erasure.
type erasures map[string]time.Time

// erasuresAmong returns the erasures among n users. No other of these users is erased until the transaction ends.
func erasuresAmong(ctx context.Context, tx pgx.Tx, n int, user func(i int) string) (erasures, error) {
	users := make(map[string]string, 1) // by hash
	hashes := make([][]byte, 0, 1)
	seen := ""
	for i := range n {
		if id := user(i); id != seen || i == 0 {
			seen = id
			hash := userHash(id)
			if _, twice := users[string(hash)]; !twice {
				users[string(hash)] = id
				hashes = append(hashes, hash)
			}
		}
	}
	if len(hashes) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `-- name: Erasures :many
SELECT user_hash, erased_at FROM erasures WHERE user_hash = ANY ($1::bytea[])`, hashes)
	if err != nil {
		return nil, err
	}
	var found erasures
	var hash []byte
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&hash, &at}, func() error {
		if found == nil {
			found = erasures{}
		}
		found[users[string(hash)]] = at
		return nil
	})
	return found, err
}

// cover reports whether the execution's user was erased after it began.
func (e erasures) cover(one *execution.Execution) bool {
	at, erased := e[one.UserID]
	return erased && one.CreatedAt.Before(at)
}

// eraseFromReports replaces a user's name in the stored reports. The user's spend remains, without a name.
func eraseFromReports(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `-- name: EraseFromReports :execrows
UPDATE reports SET document = jsonb_set(document, '{sections,users,dearest}', (
	SELECT jsonb_agg(CASE WHEN named ->> 'name' = $1 THEN jsonb_set(named, '{name}', to_jsonb('erased'::text)) ELSE named END ORDER BY n)
	FROM jsonb_array_elements(document #> '{sections,users,dearest}') WITH ORDINALITY AS d (named, n)))
WHERE document @> jsonb_build_object('sections', jsonb_build_object('users', jsonb_build_object('dearest',
	jsonb_build_array(jsonb_build_object('name', $1::text)))))`, userID)
	return err
}

// forgetErasures deletes erasures older than any execution that is still accepted.
func (s *Executions) forgetErasures(ctx context.Context, before time.Time) error {
	return s.db.inTxAs(ctx, admin, "forget old erasures", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "-- name: ForgetErasures :exec\nDELETE FROM erasures WHERE erased_at < $1", before)
		return err
	})
}
