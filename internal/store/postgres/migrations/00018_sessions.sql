-- +goose Up
SET LOCAL lock_timeout = '5s';

-- The keys that sign sessions, one for each UTC day that someone signed in. Replicas share them. A day's key verifies until the
-- last session that it signed has expired.
CREATE TABLE session_keys (
    day     integer PRIMARY KEY, -- days since 1970-01-01
    secret  bytea NOT NULL CHECK (octet_length(secret) = 32),
    made_at timestamptz NOT NULL DEFAULT now()
);

-- The sessions that were signed out before they expired. A row is deleted once its session would have expired.
CREATE TABLE ended_sessions (
    id         bytea PRIMARY KEY CHECK (octet_length(id) = 16),
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_ended_session_ended_at ON ended_sessions (ended_at);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE ended_sessions;
DROP TABLE session_keys;
