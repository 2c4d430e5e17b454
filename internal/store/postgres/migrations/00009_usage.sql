-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What is known of a model call's usage, what its price depends on, and which other spans told of the same call.
-- The check is not valid for the rows that are there, which all have the default: to validate it would read all of them.
ALTER TABLE agent_executions
    ADD COLUMN usage text NOT NULL DEFAULT '',
    ADD CONSTRAINT agent_executions_usage_check CHECK (usage IN ('', 'reported', 'unknown', 'estimated')) NOT VALID,
    ADD COLUMN billing jsonb,                 -- NULL: the list price of the model applies
    ADD COLUMN provider_cost_nano_usd bigint, -- that the provider said it charges; NULL: it did not
    ADD COLUMN joined jsonb;                  -- [{"execution_id", "by"}] of what was found to be the same call

CREATE OR REPLACE VIEW execution_figures WITH (security_invoker = true) AS
SELECT user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status, error_message,
    execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped,
    usage, billing, provider_cost_nano_usd, joined
FROM agent_executions;

-- When a span began; NULL: a replica of an older release stored it.
ALTER TABLE span_ancestors ADD COLUMN started_at timestamptz;

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP VIEW execution_figures;
ALTER TABLE agent_executions DROP COLUMN usage, DROP COLUMN billing, DROP COLUMN provider_cost_nano_usd, DROP COLUMN joined;
CREATE VIEW execution_figures WITH (security_invoker = true) AS
SELECT user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status, error_message,
    execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped
FROM agent_executions;
GRANT SELECT, UPDATE, DELETE ON execution_figures TO watchbill_admin;
ALTER TABLE span_ancestors DROP COLUMN started_at;
