-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What replicas tell one another of the buckets of their rate limits. key is a hash, so that no token and no user is found
-- here. The table is not logged: it is written every second, and what a crash loses of it each replica still knows of its own
-- buckets and writes again. Narrow, with room for heap-only updates, and no other index.
CREATE UNLOGGED TABLE rate_limits (
    key        bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    full_at    timestamptz NOT NULL,      -- when the bucket would be full if nothing more were taken from it
    taken      double precision NOT NULL, -- seconds by which the newest write put that off
    written_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE rate_limits;
