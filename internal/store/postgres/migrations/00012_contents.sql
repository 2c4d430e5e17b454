-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What log records say of spans: content that waits for the execution of its span. A record that is sent again has the same digest.
-- check_at is when to look for the execution.
CREATE TABLE pending_contents (
    trace_id text NOT NULL,
    span_id  text NOT NULL,
    digest   bytea NOT NULL CHECK (octet_length(digest) = 32),
    source   bytea NOT NULL,          -- the fingerprint of the token by which it came
    said_at  timestamptz NOT NULL,
    place    bigint NOT NULL,         -- among those of its export
    input    jsonb,                   -- NULL: it has none
    output   jsonb,
    message  boolean NOT NULL,        -- one of several; or all of the input and output
    bytes    integer NOT NULL,
    since    timestamptz NOT NULL DEFAULT now(),
    check_at timestamptz NOT NULL,
    PRIMARY KEY (trace_id, span_id, digest)
);
CREATE INDEX idx_pending_content_check ON pending_contents (check_at);
CREATE INDEX idx_pending_content_since ON pending_contents (since);
ALTER TABLE pending_contents ENABLE ROW LEVEL SECURITY;
ALTER TABLE pending_contents FORCE ROW LEVEL SECURITY;
CREATE POLICY everything ON pending_contents TO watchbill_admin, watchbill_writer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON pending_contents TO watchbill_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON pending_contents TO watchbill_admin;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP TABLE pending_contents;
