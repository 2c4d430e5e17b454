-- +goose Up
SET LOCAL lock_timeout = '5s';

-- When users were seen first and last is read for hundreds of them at once, and what one spent is read by time. The old index
-- finds all rollups of a user, which are thousands. Folding waits while this is built, a second for each million rows; ingest and
-- reads do not.
CREATE INDEX idx_user_rollup_user_seconds_bucket ON user_rollups (user_id, seconds, bucket);
DROP INDEX idx_user_rollup_user;

-- +goose Down
SET LOCAL lock_timeout = '5s';
CREATE INDEX idx_user_rollup_user ON user_rollups (user_id);
DROP INDEX idx_user_rollup_user_seconds_bucket;
