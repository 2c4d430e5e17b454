package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Agents stores the enrolled agents.
type Agents struct {
	db       *DB
	changed  func(agentIDs ...string)
	enrolled tally
}

// NewAgents returns a store of agents. changed is called after each commit that invalidated a
// token, with the agent's id.
func NewAgents(db *DB, changed func(agentIDs ...string)) *Agents {
	return &Agents{db: db, changed: changed}
}

// Enroll stores a new agent. It returns fleet.ErrAgentExists if the id is taken, and fleet.ErrEnrollmentFull if the
// same enrollment token has already enrolled limit agents. A limit of 0 means no limit.
func (s *Agents) Enroll(ctx context.Context, a fleet.Agent, token fleet.TokenHash, limit int) (fleet.Agent, error) {
	const doing = "enrol an agent"
	labels, err := encodeLabels(a.Labels)
	if err != nil {
		return a, fmt.Errorf("%s: %w", doing, err)
	}
	insert := func(q *dbgen.Queries) (err error) {
		a.RegisteredAt, err = q.InsertAgent(ctx, dbgen.InsertAgentParams{
			ID: a.ID, Name: a.Name, Labels: labels, TokenHash: token[:],
			PollIntervalSeconds: int32(a.PollInterval / time.Second), Version: a.Version, EnrolledBy: optional(a.EnrolledBy),
		})
		return err
	}
	if limit == 0 || s.enrolled.farFrom(limit, a.EnrolledBy) {
		err = insert(s.db.queries)
	} else {
		err = s.db.inTx(ctx, doing, func(q *dbgen.Queries) error {
			if err := q.LockEnrollment(ctx, a.EnrolledBy); err != nil {
				return err
			}
			n, err := q.CountEnrolled(ctx, a.EnrolledBy)
			if err != nil {
				return err
			}
			s.enrolled.counted(a.EnrolledBy, n)
			if n >= int64(limit) {
				return fleet.ErrEnrollmentFull
			}
			return insert(q)
		})
	}
	if violates(err, uniqueViolation, "agents_pkey") {
		return a, fleet.ErrAgentExists
	}
	return a, wrap(doing, err)
}

// RotateToken replaces an agent's token.
func (s *Agents) RotateToken(ctx context.Context, id string, token fleet.TokenHash) error {
	n, err := s.db.queries.RotateToken(ctx, dbgen.RotateTokenParams{ID: id, TokenHash: token[:]})
	if err != nil {
		return wrap("rotate a token", err)
	}
	if n == 0 {
		return fleet.ErrAgentNotFound
	}
	s.changed(id)
	return nil
}

// DeleteAgent deletes an agent and its deployments.
func (s *Agents) DeleteAgent(ctx context.Context, id string) error {
	err := s.db.inTx(ctx, "delete an agent", func(q *dbgen.Queries) error {
		n, err := q.DeleteAgent(ctx, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fleet.ErrAgentNotFound
		}
		return q.RecordDeletedAgent(ctx, id)
	})
	if err == nil {
		s.changed(id)
	}
	return err
}

// Agent returns one agent.
func (s *Agents) Agent(ctx context.Context, id string) (fleet.AgentView, error) {
	row, err := s.db.queries.GetAgent(ctx, id)
	if err != nil {
		return fleet.AgentView{}, wrap("read an agent", orNotFound(err, fleet.ErrAgentNotFound))
	}
	return agentView(dbgen.ListAgentsRow(row))
}

// Agents returns up to most agents that have all the labels, ordered by id and starting after the given id.
func (s *Agents) Agents(ctx context.Context, after string, labels map[string]string, limit int) ([]fleet.AgentView, error) {
	wanted, err := encodeLabels(labels)
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	rows, err := s.db.queries.ListAgents(ctx, dbgen.ListAgentsParams{After: after, Labels: wanted, MaxRows: int32(limit)})
	if err != nil {
		return nil, wrap("list agents", err)
	}
	views := make([]fleet.AgentView, len(rows))
	for i, row := range rows {
		if views[i], err = agentView(row); err != nil {
			return nil, err
		}
	}
	return views, nil
}

func agentView(row dbgen.ListAgentsRow) (fleet.AgentView, error) {
	v := fleet.AgentView{Agent: fleet.Agent{
		ID: row.ID, Name: row.Name, Version: row.Version, RegisteredAt: row.RegisteredAt,
		PollInterval: time.Duration(row.PollIntervalSeconds) * time.Second,
	}}
	if err := json.Unmarshal(row.Labels, &v.Labels); err != nil {
		return v, fmt.Errorf("read the labels of agent %s: %w", row.ID, err)
	}
	if row.LastSeenAt != nil && row.IntervalSeconds != nil {
		v.Presence.LastSeenAt = *row.LastSeenAt
		v.Presence.Interval = seconds(float64(*row.IntervalSeconds))
	}
	v.EnrolledBy = value(row.EnrolledBy)
	v.State = v.Agent.State(row.ReadAt)
	return v, nil
}

func encodeLabels(labels map[string]string) (json.RawMessage, error) {
	if labels == nil {
		labels = map[string]string{}
	}
	return json.Marshal(labels)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// violates reports whether err is a violation of the constraint.
func violates(err error, code, constraint string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == code && pgErr.ConstraintName == constraint
}
