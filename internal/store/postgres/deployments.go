package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Deployments stores the deployments and applies their state transitions.
type Deployments struct {
	db      *DB
	backoff fleet.Backoff
	newID   func() uuid.UUID
	changed func(agentIDs ...string)
}

// NewDeployments returns a store of deployments. newID returns ids that sort by time (UUIDv7). changed is called after
// each commit that changed pending deployments, with the ids of their agents.
func NewDeployments(db *DB, backoff fleet.Backoff, newID func() uuid.UUID, changed func(agentIDs ...string)) *Deployments {
	return &Deployments{db, backoff, newID, changed}
}

// Pending returns the deployments that the agent can claim now, oldest first.
func (s *Deployments) Pending(ctx context.Context, agentID string) (fleet.PendingSet, error) {
	rows, err := s.db.queries.PendingDeployments(ctx, dbgen.PendingDeploymentsParams{
		AgentID: agentID, MaxRows: fleet.MaxPending, MaxBytes: fleet.MaxPendingBytes,
	})
	if err != nil {
		return fleet.PendingSet{}, wrap("read pending deployments", err)
	}
	set := fleet.PendingSet{Due: make([]fleet.Waiting, len(rows)), Deployments: make([]fleet.Deployment, 0, len(rows))}
	for i, r := range rows {
		set.Due[i] = fleet.Waiting{ID: r.ID, Attempt: int(r.Attempt)}
		if r.Spec == "" { // this and all that follow are beyond MaxPendingBytes
			continue
		}
		set.Deployments = append(set.Deployments, fleet.Deployment{
			ID: r.ID, AgentID: agentID, Name: r.Name, Spec: []byte(r.Spec), Status: fleet.Pending, Attempt: int(r.Attempt),
			CreatedAt: r.CreatedAt, Lease: time.Duration(r.LeaseSeconds) * time.Second,
		})
	}
	return set, nil
}

// Deployment returns a deployment and its superseded attempts.
func (s *Deployments) Deployment(ctx context.Context, id uuid.UUID) (fleet.Deployment, []fleet.Attempt, error) {
	const doing = "read a deployment"
	row, err := s.db.queries.GetDeployment(ctx, id)
	if err != nil {
		return fleet.Deployment{}, nil, wrap(doing, orNotFound(err, fleet.ErrDeploymentNotFound))
	}
	d := deployment(row.DeploymentState)
	d.Spec = row.Spec
	if d.Attempt == 1 {
		return d, nil, nil
	}
	rows, err := s.db.queries.ListAttempts(ctx, id)
	if err != nil {
		return d, nil, wrap(doing, err)
	}
	attempts := make([]fleet.Attempt, len(rows))
	for i, r := range rows {
		attempts[i] = attempt(r)
	}
	return d, attempts, nil
}

// List returns up to most deployments before the given id, newest first, without their specs.
func (s *Deployments) List(ctx context.Context, filter fleet.DeploymentFilter, before uuid.UUID, limit int) ([]fleet.Deployment, error) {
	params := dbgen.ListDeploymentsParams{
		AgentID: optional(filter.AgentID), Status: optional(string(filter.Status)), Before: before, MaxRows: int32(limit),
	}
	if filter.GroupID != uuid.Nil {
		params.GroupID = &filter.GroupID
	}
	rows, err := s.db.queries.ListDeployments(ctx, params)
	if err != nil {
		return nil, wrap("list deployments", err)
	}
	found := make([]fleet.Deployment, len(rows))
	for i, row := range rows {
		found[i] = deployment(row.DeploymentState)
	}
	return found, nil
}

// Report applies an agent's status report.
func (s *Deployments) Report(ctx context.Context, agentID string, id uuid.UUID, r fleet.Report) (fleet.Deployment, error) {
	return s.move(ctx, "record a report", id, func(q *dbgen.Queries, d fleet.Deployment, now time.Time) (fleet.Transition, error) {
		if d.AgentID != agentID {
			return fleet.Transition{}, fleet.ErrNotYours
		}
		past, err := superseded(ctx, q, d, r.Attempt)
		if err != nil {
			return fleet.Transition{}, err
		}
		return d.Apply(r, past, now, s.backoff)
	})
}

// Cancel cancels a deployment that is not finished.
func (s *Deployments) Cancel(ctx context.Context, id uuid.UUID) (fleet.Deployment, error) {
	return s.move(ctx, "cancel a deployment", id, func(_ *dbgen.Queries, d fleet.Deployment, now time.Time) (fleet.Transition, error) {
		return d.Cancel(now)
	})
}

// ExpireLeases expires up to most attempts whose lease has run out, and returns their number.
// Replicas may call it concurrently.
func (s *Deployments) ExpireLeases(ctx context.Context, limit int) (int, error) {
	var agents []string
	err := s.db.inTx(ctx, "expire leases", func(q *dbgen.Queries) error {
		agents = nil
		rows, err := q.LockExpiredDeployments(ctx, int32(limit))
		if err != nil {
			return err
		}
		for _, row := range rows {
			d := deployment(row.DeploymentState)
			t, expired := d.Expire(row.ReadAt, s.backoff)
			if !expired {
				continue
			}
			if err := save(ctx, q, d, t); err != nil {
				return err
			}
			agents = append(agents, d.AgentID)
		}
		return nil
	})
	if err != nil || len(agents) == 0 {
		return 0, err
	}
	s.changed(agents...)
	return len(agents), nil
}

// move changes a single deployment: it locks the row, calls decide, and saves the transition.
func (s *Deployments) move(ctx context.Context, doing string, id uuid.UUID,
	decide func(q *dbgen.Queries, d fleet.Deployment, now time.Time) (fleet.Transition, error),
) (fleet.Deployment, error) {
	var t fleet.Transition
	err := s.db.inTx(ctx, doing, func(q *dbgen.Queries) error {
		row, err := q.LockDeployment(ctx, id)
		if err != nil {
			return orNotFound(err, fleet.ErrDeploymentNotFound)
		}
		d := deployment(row.DeploymentState)
		if t, err = decide(q, d, row.ReadAt); err != nil || !t.Changed {
			return err
		}
		return save(ctx, q, d, t)
	})
	if err != nil {
		return fleet.Deployment{}, err
	}
	if t.Delivery {
		s.changed(t.Next.AgentID)
	}
	return t.Next, nil
}

func save(ctx context.Context, q *dbgen.Queries, was fleet.Deployment, t fleet.Transition) error {
	next := t.Next
	n, err := q.SaveDeployment(ctx, dbgen.SaveDeploymentParams{
		ID: was.ID, WasStatus: string(was.Status), WasAttempt: int32(was.Attempt),
		Status: string(next.Status), Attempt: int32(next.Attempt), Claim: optional(next.Claim),
		LeaseExpiresAt: optionalTime(next.LeaseExpiresAt), AvailableAt: next.AvailableAt,
		Progress: next.Progress, Message: next.Message, Output: next.Output,
		StartedAt: optionalTime(next.StartedAt), FinishedAt: optionalTime(next.FinishedAt),
		Delivery: t.Delivery,
	})
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("deployment %s moved under its lock", was.ID)
	}
	if past := t.Superseded; past != nil {
		return q.InsertAttempt(ctx, dbgen.InsertAttemptParams{
			DeploymentID: was.ID, Attempt: int32(past.Number), Claim: past.Claim, Status: string(past.Status),
			Progress: past.Progress, Message: past.Message, Output: past.Output,
			StartedAt: past.StartedAt, FinishedAt: past.FinishedAt,
		})
	}
	return nil
}

// superseded returns a superseded attempt, or nil if there is none with that number.
func superseded(ctx context.Context, q *dbgen.Queries, d fleet.Deployment, number int) (*fleet.Attempt, error) {
	if number >= d.Attempt {
		return nil, nil
	}
	row, err := q.GetAttempt(ctx, dbgen.GetAttemptParams{DeploymentID: d.ID, Attempt: int32(number)})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := attempt(row)
	return &a, nil
}

func deployment(r dbgen.DeploymentState) fleet.Deployment {
	return fleet.Deployment{
		ID: r.ID, AgentID: r.AgentID, GroupID: r.GroupID, Name: r.Name,
		Status: fleet.Status(r.Status), Attempt: int(r.Attempt), Claim: value(r.Claim), MaxAttempts: int(r.MaxAttempts),
		Lease: time.Duration(r.LeaseSeconds) * time.Second, LeaseExpiresAt: value(r.LeaseExpiresAt), AvailableAt: r.AvailableAt,
		Progress: r.Progress, Message: r.Message, Output: r.Output,
		CreatedAt: r.CreatedAt, StartedAt: value(r.StartedAt), FinishedAt: value(r.FinishedAt),
	}
}

func attempt(r dbgen.DeploymentAttempt) fleet.Attempt {
	return fleet.Attempt{
		Number: int(r.Attempt), Claim: r.Claim, Status: fleet.Status(r.Status),
		Progress: r.Progress, Message: r.Message, Output: r.Output, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}
}

// orNotFound returns notFound if err is pgx.ErrNoRows, and err otherwise.
func orNotFound(err, notFound error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return notFound
	}
	return err
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
