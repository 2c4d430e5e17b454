-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Indexes of searches. ON ONLY takes no time and blocks nobody: days that have a partition get theirs afterwards, one by one
-- and concurrently, from a replica's clean-up (IndexDays); new partitions have them from the start.
-- The id of a span's execution begins with its trace, so that the first also finds traces; the last finds what was recorded
-- with another id.
CREATE INDEX idx_execution_id ON ONLY agent_executions (execution_id text_pattern_ops);
CREATE INDEX idx_execution_agent_created_at ON ONLY agent_executions (agent_name, created_at);
CREATE INDEX idx_execution_session_created_at ON ONLY agent_executions (session_id, created_at) WHERE session_id <> '';
CREATE INDEX idx_execution_trace ON ONLY agent_executions (trace_id) WHERE trace_id <> '' AND "left"(execution_id, 32) <> trace_id;

-- Of lists of events. These tables are small beside that of executions: an index of a million rows takes a second.
CREATE INDEX idx_deployment_finished_at ON deployments (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX idx_deployment_attempt_finished_at ON deployment_attempts (finished_at);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP INDEX idx_deployment_finished_at, idx_deployment_attempt_finished_at;
DROP INDEX idx_execution_id, idx_execution_agent_created_at, idx_execution_session_created_at, idx_execution_trace;
