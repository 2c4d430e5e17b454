-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What reads executions by time does so by idx_execution_status, a status at a time; every execution that is stored had to be put
-- into this index as well.
DROP INDEX idx_execution_created_at;

-- +goose Down
SET LOCAL lock_timeout = '5s';
CREATE INDEX idx_execution_created_at ON agent_executions (created_at);
