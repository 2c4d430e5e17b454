-- +goose Up
SET LOCAL lock_timeout = '5s';

-- How well the cost of what a rollup counts is known: executions whose usage is unknown or estimated, the part of the cost that
-- estimates make up, what providers said they charged, the part of that for executions without a price, and what those with a
-- price cost by the table. A replica of the previous release adds nothing to these.
ALTER TABLE execution_rollups
    ADD COLUMN unknown_usage bigint NOT NULL DEFAULT 0,
    ADD COLUMN estimated_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_cost_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_unpriced_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_compared_nano_usd bigint NOT NULL DEFAULT 0;
ALTER TABLE execution_deltas
    ADD COLUMN unknown_usage bigint NOT NULL DEFAULT 0,
    ADD COLUMN estimated_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_cost_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_unpriced_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_compared_nano_usd bigint NOT NULL DEFAULT 0;
ALTER TABLE user_rollups
    ADD COLUMN unknown_usage bigint NOT NULL DEFAULT 0,
    ADD COLUMN estimated_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_cost_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_unpriced_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_compared_nano_usd bigint NOT NULL DEFAULT 0;
ALTER TABLE user_deltas
    ADD COLUMN unknown_usage bigint NOT NULL DEFAULT 0,
    ADD COLUMN estimated_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_cost_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_unpriced_nano_usd bigint NOT NULL DEFAULT 0,
    ADD COLUMN provider_compared_nano_usd bigint NOT NULL DEFAULT 0;

-- +goose Down
SET LOCAL lock_timeout = '5s';
ALTER TABLE execution_rollups DROP COLUMN unknown_usage, DROP COLUMN estimated_nano_usd, DROP COLUMN provider_cost_nano_usd,
    DROP COLUMN provider_unpriced_nano_usd, DROP COLUMN provider_compared_nano_usd;
ALTER TABLE execution_deltas DROP COLUMN unknown_usage, DROP COLUMN estimated_nano_usd, DROP COLUMN provider_cost_nano_usd,
    DROP COLUMN provider_unpriced_nano_usd, DROP COLUMN provider_compared_nano_usd;
ALTER TABLE user_rollups DROP COLUMN unknown_usage, DROP COLUMN estimated_nano_usd, DROP COLUMN provider_cost_nano_usd,
    DROP COLUMN provider_unpriced_nano_usd, DROP COLUMN provider_compared_nano_usd;
ALTER TABLE user_deltas DROP COLUMN unknown_usage, DROP COLUMN estimated_nano_usd, DROP COLUMN provider_cost_nano_usd,
    DROP COLUMN provider_unpriced_nano_usd, DROP COLUMN provider_compared_nano_usd;
