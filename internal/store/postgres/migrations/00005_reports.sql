-- +goose Up
SET LOCAL lock_timeout = '5s';

-- Of a Kubernetes namespace there is one report for a name and window: one that is made again replaces it. An administrator's
-- (namespace '') are each a new one, as they are for the previous release.
CREATE UNIQUE INDEX idx_report_slot ON reports (namespace, name, window_from, window_to) WHERE namespace <> '';
CREATE INDEX idx_report_name ON reports (namespace, name, id DESC);

-- +goose Down
SET LOCAL lock_timeout = '5s';
DROP INDEX idx_report_name, idx_report_slot;
