package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/report"
)

// promised lists the indexes that the requirements name, each with the query that it serves. The queries contain
// literals, so that EXPLAIN needs no parameters and executes nothing.
var promised = []struct{ table, index, shape, example string }{
	{
		"deployments", "idx_deployment_agent_status_created", "WHERE agent_id = ? AND status = ? ORDER BY created_at",
		"SELECT * FROM deployments WHERE agent_id = 'agent' AND status = 'pending' ORDER BY created_at LIMIT 50",
	},
	{
		"deployments", "idx_deployment_status", "WHERE status = ?",
		"SELECT * FROM deployments WHERE status = 'pending'",
	},
	{
		"deployments", "idx_deployment_created_at", "ORDER BY created_at",
		"SELECT * FROM deployments ORDER BY created_at DESC LIMIT 50",
	},
	{"agents", "agents_pkey", "", ""},
	{"agents", "idx_agent_name", "", ""},
}

const indexUse = `-- name: IndexUse :many
-- last_idx_scan came with PostgreSQL 16
SELECT s.indexrelname, pg_get_indexdef(s.indexrelid), s.idx_scan, d.stats_reset, (to_jsonb(s) ->> 'last_idx_scan')::timestamptz
FROM pg_stat_user_indexes s, pg_stat_database d
WHERE s.schemaname = current_schema() AND s.indexrelname = ANY ($1::text[]) AND d.datname = current_database()`

// readIndexes sets f.Indexes: for each promised index, whether it exists, how often it was used, and the plan that
// PostgreSQL chooses now for its query.
func (s *Rollups) readIndexes(ctx context.Context, f *report.Facts) error {
	names := make([]string, len(promised))
	for i, p := range promised {
		names[i] = p.index
	}
	rows, err := s.db.pool.Query(ctx, indexUse, names)
	if err != nil {
		return err
	}
	found := map[string]report.IndexFacts{}
	var name, definition string
	var scans int64
	var since, last *time.Time
	_, err = pgx.ForEachRow(rows, []any{&name, &definition, &scans, &since, &last}, func() error {
		found[name] = report.IndexFacts{Exists: true, Columns: columns(definition), Scans: scans, StatsSince: since, LastUsed: last}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range promised {
		index := found[p.index]
		index.Table, index.Name, index.Shape = p.table, p.index, p.shape
		if p.example != "" {
			if index.Plan, index.PlanUsesIndex, err = s.explain(ctx, p.example, p.index); err != nil {
				return fmt.Errorf("explain %q: %w", p.shape, err)
			}
		}
		f.Indexes = append(f.Indexes, index)
	}
	return nil
}

var indexColumns = regexp.MustCompile(`USING \w+ \((.*)\)$`)

func columns(definition string) string {
	if m := indexColumns.FindStringSubmatch(definition); m != nil {
		return m[1]
	}
	return ""
}

// explain returns a query's plan as one line, outermost node first, and reports whether it uses the index.
func (s *Rollups) explain(ctx context.Context, query, index string) (string, bool, error) {
	var document []byte
	if err := s.db.pool.QueryRow(ctx, "-- name: Explain :one\nEXPLAIN (FORMAT JSON) "+query).Scan(&document); err != nil {
		return "", false, err
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal(document, &plans); err != nil {
		return "", false, err
	}
	var nodes []string
	uses := false
	for _, p := range plans {
		p.Plan.walk(func(n planNode) {
			line := n.Type
			if n.Index != "" {
				line += " using " + n.Index
			} else if n.Relation != "" {
				line += " on " + n.Relation
			}
			nodes = append(nodes, line)
			uses = uses || n.Index == index
		})
	}
	return strings.Join(nodes, " > "), uses, nil
}

type planNode struct {
	Type     string     `json:"Node Type"`
	Index    string     `json:"Index Name"`
	Relation string     `json:"Relation Name"`
	Plans    []planNode `json:"Plans"`
}

func (n planNode) walk(visit func(planNode)) {
	visit(n)
	for _, below := range n.Plans {
		below.walk(visit)
	}
}
