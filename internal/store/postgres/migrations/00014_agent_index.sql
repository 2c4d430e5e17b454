-- +goose Up
SET LOCAL lock_timeout = '5s';

-- No query reads executions by agent, and every execution that is stored had to be put into the index.
DROP INDEX idx_execution_agent;

-- +goose Down
SET LOCAL lock_timeout = '5s';
CREATE INDEX idx_execution_agent ON agent_executions (agent_name, created_at);
