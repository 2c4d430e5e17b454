-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What the service measures of itself. A row belongs to one replica's process and one bucket of time, so its writer
-- replaces it whole and never waits for another. seconds is the bucket's width: 60, or 3600 once compacted.
CREATE TABLE request_rollups (
    bucket    timestamptz NOT NULL,
    seconds   integer NOT NULL,
    route     text NOT NULL,
    method    text NOT NULL,
    replica   text NOT NULL,
    by_status jsonb NOT NULL,
    latency   bytea NOT NULL,
    bytes_in  bigint NOT NULL,
    bytes_out bigint NOT NULL,
    PRIMARY KEY (bucket, seconds, route, method, replica)
);

CREATE TABLE query_rollups (
    bucket  timestamptz NOT NULL,
    seconds integer NOT NULL,
    query   text NOT NULL,
    replica text NOT NULL,
    count   bigint NOT NULL,
    errors  bigint NOT NULL,
    latency bytea NOT NULL,
    PRIMARY KEY (bucket, seconds, query, replica)
);

CREATE TABLE replica_rollups (
    bucket              timestamptz NOT NULL,
    seconds             integer NOT NULL,
    replica             text NOT NULL,
    covered_seconds     double precision NOT NULL,
    polls_delivered     bigint NOT NULL,
    polls_empty         bigint NOT NULL,
    polls_not_modified  bigint NOT NULL,
    polls_failed        bigint NOT NULL,
    pool_max            integer NOT NULL,
    pool_samples        bigint NOT NULL,
    pool_in_use_sum     bigint NOT NULL,
    pool_in_use_peak    integer NOT NULL,
    pool_acquires       bigint NOT NULL,
    pool_empty_acquires bigint NOT NULL,
    pool_wait_seconds   double precision NOT NULL,
    PRIMARY KEY (bucket, seconds, replica)
);

-- One row a minute for the whole fleet, written by whichever replica samples it: the newest sample, and sums over all
-- of the minute's.
CREATE TABLE fleet_rollups (
    bucket                    timestamptz PRIMARY KEY,
    sampled_at                timestamptz NOT NULL,
    agents_online             bigint NOT NULL,
    agents_late               bigint NOT NULL,
    agents_offline            bigint NOT NULL,
    wanted_polls_per_second   double precision NOT NULL,
    expected_polls_per_second double precision NOT NULL,
    deployments               jsonb NOT NULL,
    samples                   bigint NOT NULL,
    polling_sum               double precision NOT NULL,
    expected_sum              double precision NOT NULL
);

CREATE TABLE reports (
    id          uuid PRIMARY KEY,
    name        text NOT NULL,
    namespace   text NOT NULL DEFAULT '',
    window_from timestamptz NOT NULL,
    window_to   timestamptz NOT NULL,
    verdict     text NOT NULL,
    document    jsonb NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_report_created_at ON reports (created_at);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE reports, fleet_rollups, replica_rollups, query_rollups, request_rollups;
