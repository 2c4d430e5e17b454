package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// idempotencyKeep is how long the response to a create request is kept for repeats: a day, in seconds.
const idempotencyKeep = 24 * 60 * 60

// Create creates one deployment for each of the order's agents and returns the response that encode makes of them. With
// a key, the response is stored in the same transaction and returned again if the request is repeated.
func (s *Deployments) Create(ctx context.Context, order fleet.Order, key *fleet.IdempotencyKey,
	encode func(fleet.CreatedGroup) ([]byte, error),
) ([]byte, error) {
	var response []byte
	var agents []string
	err := s.db.inTx(ctx, "create deployments", func(q *dbgen.Queries) (err error) {
		response, agents = nil, nil
		if key != nil {
			if response, err = recall(ctx, q, *key); err != nil || response != nil {
				return err
			}
		}
		if agents, err = targets(ctx, q, order); err != nil {
			return err
		}
		group, err := s.insert(ctx, q, order, agents)
		if err != nil {
			return err
		}
		if response, err = encode(group); err != nil || key == nil {
			return err
		}
		return q.AnswerIdempotencyKey(ctx, dbgen.AnswerIdempotencyKeyParams{Key: key.Key, Answer: response})
	})
	if err != nil {
		return nil, err
	}
	if len(agents) > 0 {
		s.changed(agents...)
	}
	return response, nil
}

// recall returns the stored response, or nil after reserving the key for this request.
func recall(ctx context.Context, q *dbgen.Queries, key fleet.IdempotencyKey) ([]byte, error) {
	taken, err := q.ReserveIdempotencyKey(ctx, dbgen.ReserveIdempotencyKeyParams{
		Key: key.Key, RequestHash: key.RequestHash[:], KeepSeconds: idempotencyKeep,
	})
	if err != nil || taken == 1 {
		return nil, err
	}
	known, err := q.GetIdempotencyKey(ctx, key.Key)
	if errors.Is(err, pgx.ErrNoRows) {
		return recall(ctx, q, key) // it expired and was deleted in between
	}
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(known.RequestHash, key.RequestHash[:]) {
		return nil, fleet.ErrIdempotencyMismatch
	}
	return known.Answer, nil
}

// targets returns the order's agents, sorted by id, and prevents their deletion until the transaction ends.
func targets(ctx context.Context, q *dbgen.Queries, order fleet.Order) ([]string, error) {
	if order.Selector != nil {
		return selected(ctx, q, *order.Selector)
	}
	wanted := slices.Clone(order.AgentIDs)
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	found, err := q.ExistingAgents(ctx, wanted)
	if err != nil {
		return nil, err
	}
	if len(found) == len(wanted) {
		return wanted, nil
	}
	slices.Sort(found) // the database's collation may differ
	for _, id := range wanted {
		if _, ok := slices.BinarySearch(found, id); !ok {
			return nil, fleet.UnknownTarget(id)
		}
	}
	return found, nil
}

func selected(ctx context.Context, q *dbgen.Queries, selector fleet.Selector) ([]string, error) {
	equal, err := encodeLabels(selector.Equalities())
	if err != nil {
		return nil, err
	}
	rows, err := q.AgentsWithLabels(ctx, equal)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, row := range rows {
		var labels map[string]string
		if err := json.Unmarshal(row.Labels, &labels); err != nil {
			return nil, fmt.Errorf("read the labels of agent %s: %w", row.ID, err)
		}
		if selector.Matches(labels) {
			ids = append(ids, row.ID)
		}
	}
	if err := fleet.CheckTargets("selector", len(ids)); err != nil {
		return nil, err
	}
	ids, err = q.ExistingAgents(ctx, ids) // some may have been deleted since
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	return ids, fleet.CheckTargets("selector", len(ids))
}

func (s *Deployments) insert(ctx context.Context, q *dbgen.Queries, order fleet.Order, agents []string) (fleet.CreatedGroup, error) {
	group := fleet.CreatedGroup{ID: s.newID(), Deployments: make([]fleet.Deployment, len(agents))}
	ids := make([]uuid.UUID, len(agents))
	for i := range ids {
		ids[i] = s.newID()
	}
	created, err := q.InsertDeployments(ctx, dbgen.InsertDeploymentsParams{
		GroupID: group.ID, Name: order.Name, Spec: order.Spec, MaxAttempts: int32(order.MaxAttempts),
		LeaseSeconds: int32(order.Lease.Seconds()), Ids: ids, AgentIds: agents,
	})
	if err != nil {
		return group, err
	}
	for i, agent := range agents {
		group.Deployments[i] = fleet.Deployment{
			ID: ids[i], AgentID: agent, GroupID: group.ID, Name: order.Name, Status: fleet.Pending, Attempt: 1,
			MaxAttempts: order.MaxAttempts, Lease: order.Lease, AvailableAt: created, CreatedAt: created,
		}
	}
	return group, nil
}

// Group returns a group with its deployments counted by status.
func (s *Deployments) Group(ctx context.Context, id uuid.UUID) (fleet.Group, error) {
	rows, err := s.db.queries.GroupCounts(ctx, id)
	if err != nil {
		return fleet.Group{}, wrap("count a group", err)
	}
	if len(rows) == 0 {
		return fleet.Group{}, fleet.ErrGroupNotFound
	}
	g := fleet.Group{ID: id, Name: rows[0].Name, CreatedAt: rows[0].CreatedAt, Counts: map[fleet.Status]int64{}}
	for _, row := range rows {
		g.Counts[fleet.Status(row.Status)] = row.Count
	}
	return g, nil
}

// CancelGroup cancels a group's unfinished deployments and returns the new counts.
func (s *Deployments) CancelGroup(ctx context.Context, id uuid.UUID) (fleet.Group, error) {
	var agents []string
	err := s.db.inTx(ctx, "cancel a group", func(q *dbgen.Queries) (err error) {
		agents, err = q.CancelGroup(ctx, id)
		return err
	})
	if err != nil {
		return fleet.Group{}, err
	}
	if len(agents) > 0 {
		s.changed(agents...)
	}
	return s.Group(ctx, id)
}
