-- +goose Up
SET LOCAL lock_timeout = '5s';

-- What executions were given and answered: JSON, as it came. As jsonb it took a quarter of what it takes PostgreSQL to store an
-- execution, and as json, which is checked once more, a tenth. A replica of the previous release reads and writes input_data and
-- output_data; rows have them or these.
ALTER TABLE agent_executions ADD COLUMN input_json text, ADD COLUMN output_json text;

-- +goose Down
SET LOCAL lock_timeout = '5s';
UPDATE agent_executions SET input_data = input_json::jsonb, output_data = output_json::jsonb WHERE input_json IS NOT NULL OR output_json IS NOT NULL;
ALTER TABLE agent_executions DROP COLUMN input_json, DROP COLUMN output_json;
