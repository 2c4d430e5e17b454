-- name: LockReports :exec
-- Deletions of reports of one name exclude each other: two at once could each keep what the other is about to replace, and
-- wait for one another's rows.
SELECT pg_advisory_xact_lock(hashtextextended('watchbill reports ' || sqlc.arg(namespace)::text || '/' || sqlc.arg(name)::text, 0));

-- name: SaveReport :exec
-- An administrator's never meets another: the index leaves them out.
INSERT INTO reports (id, namespace, name, window_from, window_to, verdict, document) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (namespace, name, window_from, window_to) WHERE namespace <> '' DO UPDATE
SET id = EXCLUDED.id, verdict = EXCLUDED.verdict, document = EXCLUDED.document, created_at = EXCLUDED.created_at;

-- name: DropReportsBeyond :exec
-- But not the one that was saved: the replica's clock, by which it has its id, may be behind others.
DELETE FROM reports WHERE id IN (
    SELECT old.id FROM reports old WHERE old.namespace = sqlc.arg(namespace) AND old.name = sqlc.arg(name) AND old.id <> sqlc.arg(saved) AND old.id < (
        SELECT last.id FROM reports last WHERE last.namespace = sqlc.arg(namespace) AND last.name = sqlc.arg(name)
        ORDER BY last.id DESC OFFSET sqlc.arg(keep)::int - 1 LIMIT 1)
    ORDER BY old.id FOR UPDATE
);

-- name: GetReport :one
SELECT namespace, document FROM reports WHERE id = $1;

-- name: ListReports :many
SELECT id, namespace, name, window_from, window_to, verdict, created_at,
       COALESCE((document #>> '{window,covered_seconds}')::float8, 0)::float8 AS covered_seconds
FROM reports
WHERE id < sqlc.arg(before)
  AND (sqlc.narg(namespace)::text IS NULL OR namespace = sqlc.narg(namespace))
  AND (sqlc.narg(name)::text IS NULL OR name = sqlc.narg(name))
ORDER BY id DESC
LIMIT sqlc.arg(max_rows)::int;
