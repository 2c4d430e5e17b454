-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Every execution that is stored had to be put into this index. A page of one of a few dozen agents is full after as many rows in
-- the order of time; for a rare one, searches skip the times in which its rollups count nothing.
DROP INDEX idx_execution_agent_created_at;

-- +goose Down
SET LOCAL lock_timeout = '5s';
CREATE INDEX idx_execution_agent_created_at ON ONLY agent_executions (agent_name, created_at);
