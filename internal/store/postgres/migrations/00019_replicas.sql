-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Which replicas run, and how they do. Each replica writes its row every 15 seconds; rows are deleted a week after the last time.
CREATE TABLE replicas (
    name         text PRIMARY KEY, -- unique to a start of the program
    version      text NOT NULL,
    started_at   timestamptz NOT NULL,
    seen_at      timestamptz NOT NULL DEFAULT now(),
    stopped_at   timestamptz,      -- NULL: it did not shut down in order
    faults       text[] NOT NULL,  -- why it is degraded
    pool_max     integer NOT NULL,
    pool_in_use  integer NOT NULL,
    pool_waiting integer NOT NULL
);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE replicas;
