-- name: InsertReport :exec
INSERT INTO reports (id, name, window_from, window_to, verdict, document) VALUES ($1, $2, $3, $4, $5, $6);

-- name: GetReport :one
SELECT document FROM reports WHERE id = $1;

-- name: ListReports :many
SELECT id, name, window_from, window_to, verdict, created_at,
       COALESCE((document #>> '{window,covered_seconds}')::float8, 0)::float8 AS covered_seconds
FROM reports
WHERE id < sqlc.arg(before)
ORDER BY id DESC
LIMIT sqlc.arg(most)::int;
