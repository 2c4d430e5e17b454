package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Events reads recent events from the tables that record them.
type Events struct{ db *DB }

// NewEvents returns a store of events.
func NewEvents(db *DB) *Events { return &Events{db} }

// eventSource is a query of the events of one kind, in the order of an index where there are many. Its columns are time,
// id, actor, agent, deployment, report, name, status and message.
type eventSource struct {
	kind          fleet.EventKind
	columns, from string
	agents        string // a table in from, which is narrowed down to the agent's rows
	time, id      string // expressions
	agent         string // the column of the agent; empty if these events have none
	onlyIf        string
}

var eventSources = []eventSource{
	{
		kind: fleet.AgentEnrolled, from: "agents e", time: "e.registered_at", id: "e.id", agent: "e.id",
		columns: "CASE WHEN e.enrolled_by IS NULL THEN '' ELSE 'enrollment token ' || e.enrolled_by END, e.id, '', '', e.name, '', ''",
	},
	{
		kind: fleet.AgentDeleted, from: "deleted_agents e", time: "e.deleted_at", id: "e.agent_id", agent: "e.agent_id",
		columns: "'administrator', e.agent_id, '', '', '', '', ''", // for an existing agent, it records that deployments were deleted
		onlyIf:  "NOT EXISTS (SELECT FROM agents a WHERE a.id = e.agent_id)",
	},
	{
		kind: fleet.DeploymentCreated, from: "deployments e", agents: "deployments", time: "e.created_at", id: "e.id::text", agent: "e.agent_id",
		columns: "'administrator', e.agent_id, e.id::text, '', e.name, '', ''",
	},
	{
		kind: fleet.DeploymentEnded, from: "deployments e", agents: "deployments", time: "e.finished_at", id: "e.id::text", agent: "e.agent_id",
		columns: "CASE e.status WHEN 'cancelled' THEN 'administrator' WHEN 'timed_out' THEN 'watchbill' ELSE 'agent ' || e.agent_id END, " +
			"e.agent_id, e.id::text, '', e.name, e.status, COALESCE(e.message, '')",
		onlyIf: "e.finished_at IS NOT NULL",
	},
	{
		kind: fleet.AttemptFailed, from: "deployment_attempts e JOIN deployments d ON d.id = e.deployment_id", agents: "deployments", time: "e.finished_at",
		id: "e.deployment_id || '/' || e.attempt", agent: "d.agent_id",
		columns: "CASE e.status WHEN 'timed_out' THEN 'watchbill' ELSE 'agent ' || d.agent_id END, " +
			"d.agent_id, e.deployment_id::text, '', d.name, e.status, COALESCE(e.message, '')",
	},
	{
		kind: fleet.ReportCreated, from: "reports e", time: "e.created_at", id: "e.id::text",
		columns: "CASE e.namespace WHEN '' THEN 'administrator' ELSE 'namespace ' || e.namespace END, '', '', e.id::text, e.name, e.verdict, ''",
	},
	{
		kind: fleet.UserErased, from: "erasures e", time: "e.erased_at", id: "encode(e.user_hash, 'hex')",
		columns: "'administrator', '', '', '', '', '', ''",
	},
	{
		kind: fleet.NameRegistered, from: "rollup_names e", time: "e.registered_at", id: "e.kind || '/' || e.name",
		columns: "'', '', '', '', e.name, e.kind, ''",
	},
	{
		kind: fleet.ReplicaStarted, from: "replicas e", time: "e.started_at", id: "e.name",
		columns: "'watchbill', '', '', '', e.name, '', 'version ' || e.version",
	},
	{
		kind: fleet.ReplicaStopped, from: "replicas e", time: "e.stopped_at", id: "e.name",
		columns: "'watchbill', '', '', '', e.name, '', 'version ' || e.version",
		onlyIf:  "e.stopped_at IS NOT NULL",
	},
}

// List returns up to limit events after a key, newest first.
func (s *Events) List(ctx context.Context, q fleet.EventQuery) ([]fleet.Event, error) {
	sql, args := eventsQuery(q)
	if sql == "" {
		return nil, nil
	}
	rows, err := s.db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, wrap("list events", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e fleet.Event, err error) {
		err = row.Scan(&e.Time, &e.Kind, &e.ID, &e.Actor, &e.AgentID, &e.DeploymentID, &e.ReportID, &e.Name, &e.Status, &e.Message)
		return e, err
	})
	return all, wrap("list events", err)
}

// eventsQuery returns the query of a list with its arguments. It is empty if no source has such events.
func eventsQuery(q fleet.EventQuery) (sql string, args []any) {
	var st statement
	to := q.After.Time
	if to.IsZero() {
		to = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	at, kind, id, most := st.arg(to), st.arg(string(q.After.Kind)), st.arg(q.After.ID), st.arg(q.Limit)
	var sources []string
	for _, source := range eventSources {
		if q.Kind != "" && q.Kind != source.kind || q.AgentID != "" && source.agent == "" {
			continue
		}
		// The first condition is that of the index.
		where := fmt.Sprintf("%[1]s <= %[2]s AND (%[1]s < %[2]s OR ('%[3]s', %[4]s) < (%[5]s, %[6]s))", source.time, at, source.kind, source.id, kind, id)
		if source.onlyIf != "" {
			where += " AND " + source.onlyIf
		}
		from := source.from
		if q.AgentID != "" {
			agent := st.arg(q.AgentID)
			where += " AND " + source.agent + " = " + agent
			if source.agents != "" { // OFFSET 0 keeps a generic plan from following the index of the time past other agents' rows
				from = strings.Replace(from, source.agents+" ", "(SELECT * FROM "+source.agents+" WHERE agent_id = "+agent+" OFFSET 0) ", 1)
			}
		}
		if !q.From.IsZero() {
			where += " AND " + source.time + " >= " + st.arg(q.From)
		}
		if !q.To.IsZero() {
			where += " AND " + source.time + " < " + st.arg(q.To)
		}
		sources = append(sources, fmt.Sprintf("(SELECT %[1]s AS event_at, '%[2]s' AS event_kind, %[3]s AS event_id, %[4]s FROM %[5]s WHERE %[6]s ORDER BY %[1]s DESC, %[3]s DESC LIMIT %[7]s)",
			source.time, source.kind, source.id, source.columns, from, where, most))
	}
	if len(sources) == 0 {
		return "", nil
	}
	sql = "-- name: ListEvents :many\nSELECT * FROM (" + strings.Join(sources, "\nUNION ALL ") + ") AS events\nORDER BY event_at DESC, event_kind DESC, event_id DESC LIMIT " + most
	return sql, st.args
}
