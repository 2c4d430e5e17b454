-- name: SessionKeys :many
-- Keys are deleted after two days: there are a few.
SELECT day, secret FROM session_keys ORDER BY day DESC LIMIT 16;

-- name: AddSessionKey :exec
-- Of several replicas that add a key for a day, one succeeds.
INSERT INTO session_keys (day, secret) VALUES (sqlc.arg(day), sqlc.arg(secret)) ON CONFLICT (day) DO NOTHING;

-- name: EndSession :exec
INSERT INTO ended_sessions (id, expires_at) VALUES (sqlc.arg(id), sqlc.arg(expires_at)) ON CONFLICT (id) DO NOTHING;

-- name: EndedSessions :many
SELECT id, expires_at, ended_at FROM ended_sessions WHERE ended_at >= sqlc.arg(since)::timestamptz;

-- name: DropOldEndedSessions :execrows
-- An hour more, since a replica's clock may be slow.
DELETE FROM ended_sessions WHERE id IN (
    SELECT id FROM ended_sessions WHERE expires_at < now() - interval '1 hour' ORDER BY id LIMIT sqlc.arg(max_rows)::int FOR UPDATE SKIP LOCKED
);

-- name: DropOldSessionKeys :exec
DELETE FROM session_keys WHERE made_at < now() - interval '3 days';
