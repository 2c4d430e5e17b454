-- +goose Up
SET LOCAL lock_timeout = '5s';

-- The fingerprint of the enrollment token that enrolled an agent. NULL: an administrator did, or a replica of an older release.
ALTER TABLE agents ADD COLUMN enrolled_by text;
CREATE INDEX idx_agent_enrolled_by ON agents (enrolled_by) WHERE enrolled_by IS NOT NULL;

-- +goose Down
SET LOCAL lock_timeout = '5s';
ALTER TABLE agents DROP COLUMN enrolled_by;
