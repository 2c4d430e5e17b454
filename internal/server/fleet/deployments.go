package fleet

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const (
	idempotencyKey    = "Idempotency-Key"
	maxIdempotencyKey = 255
)

type orderRequest struct {
	order fleet.Order
	key   *fleet.IdempotencyKey
}

func readOrder(x *endpoint.Exchange) (orderRequest, error) {
	if err := x.NoQuery(); err != nil {
		return orderRequest{}, err
	}
	key, hasKey, err := readIdempotencyKey(x)
	if err != nil {
		return orderRequest{}, err
	}
	raw, _, err := x.ReadBody(input.MaxBody, "application/json")
	if err != nil {
		return orderRequest{}, err
	}
	var body openapi.CreateDeploymentsRequest
	if err := input.DecodeJSON(raw, &body, "spec"); err != nil {
		return orderRequest{}, err
	}
	order, err := orderOf(body)
	if err != nil || !hasKey {
		return orderRequest{order: order}, err
	}
	hash, err := requestHash(x, raw)
	return orderRequest{order, &fleet.IdempotencyKey{Key: key, RequestHash: hash}}, err
}

func readIdempotencyKey(x *endpoint.Exchange) (key string, given bool, err error) {
	key, given, err = x.HeaderValue(idempotencyKey)
	if !given || err != nil {
		return "", given, err
	}
	if key == "" || len(key) > maxIdempotencyKey || !isVisible(key) {
		return "", true, problem.BadRequest("invalid_parameter", idempotencyKey, "must be 1 to %d visible ASCII characters", maxIdempotencyKey)
	}
	return key, true, nil
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// requestHash returns a hash that is equal for equivalent requests: it ignores whitespace, the order of members and the
// escaping of strings. Numbers are hashed as written, since a float64 cannot distinguish all of them.
func requestHash(x *endpoint.Exchange, body []byte) ([sha256.Size]byte, error) {
	canonical := jsontext.Value(body)
	err := canonical.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(append([]byte(x.Request.Method+" "+x.Pattern+"\n"), canonical...)), nil
}

func orderOf(body openapi.CreateDeploymentsRequest) (fleet.Order, error) {
	order := fleet.Order{
		NewDeployment: fleet.NewDeployment{
			Name: body.Name, Spec: body.Spec, MaxAttempts: fleet.DefaultAttempts,
			Lease: seconds(body.LeaseSeconds, fleet.DefaultLease),
		},
		AgentIDs: body.AgentIDs,
	}
	if body.MaxAttempts != nil {
		order.MaxAttempts = int(*body.MaxAttempts)
	}
	if err := order.Validate(); err != nil {
		return order, err
	}
	byID, bySelector := body.AgentIDs != nil, body.Selector != ""
	switch {
	case byID == bySelector:
		return order, problem.BadRequest("invalid_field", "agent_ids", "give either agent_ids or selector")
	case bySelector:
		selector, err := fleet.ParseSelector("selector", body.Selector)
		order.Selector = &selector
		return order, err
	default:
		return order, checkAgentIDs(body.AgentIDs)
	}
}

func checkAgentIDs(ids []string) error {
	if err := fleet.CheckTargets("agent_ids", len(ids)); err != nil {
		return err
	}
	first := make(map[string]int, len(ids))
	for i, id := range ids {
		field := "agent_ids[" + strconv.Itoa(i) + "]"
		if err := fleet.ValidateAgentID(field, id); err != nil {
			return err
		}
		if before, twice := first[id]; twice {
			return problem.BadRequest("invalid_field", field, "is agent_ids[%d] again", before)
		}
		first[id] = i
	}
	return nil
}

// createdDeployments is the response to a create request. group is nil if the request was a repetition.
type createdDeployments struct {
	endpoint.Content
	group *fleet.CreatedGroup
}

// createDeployments returns an encoded response, since a repeated request gets the bytes of the first response.
func (a *API) createDeployments(ctx context.Context, req orderRequest) (createdDeployments, error) {
	var created *fleet.CreatedGroup
	body, err := a.Deployments.Create(ctx, req.order, req.key, func(group fleet.CreatedGroup) ([]byte, error) {
		created = &group
		encoded, err := json.Marshal(openapi.CreatedDeployments{
			GroupID: group.ID.String(), Name: req.order.Name, Spec: req.order.Spec, Deployments: deploymentsOf(group.Deployments),
		})
		return append(encoded, '\n'), err
	})
	return createdDeployments{endpoint.Content{Status: http.StatusCreated, MediaType: "application/json", Body: body}, created}, err
}

type deploymentQuery struct {
	list   input.List
	filter fleet.DeploymentFilter
	before uuid.UUID
	limit  int
}

func readDeploymentQuery(x *endpoint.Exchange) (deploymentQuery, error) {
	q := x.Query()
	req := deploymentQuery{limit: q.Limit()}
	req.filter.Status = input.Parsed(&q, "status", fleet.ParseStatus, fleet.Statuses[:]...)
	if agentID, given := q.Text("agent_id"); given {
		if err := fleet.ValidateAgentID("agent_id", agentID); err != nil {
			q.Keep(err)
		}
		req.filter.AgentID = agentID
	}
	req.filter.GroupID = q.UUID("group_id")
	req.list = input.NewList("deployments", req.filter.AgentID, req.filter.GroupID.String(), string(req.filter.Status))
	cursor, given := q.Text("cursor")
	if err := q.Done(); err != nil {
		return req, err
	}
	var err error
	req.before, err = req.list.BeforeID(cursor, given)
	return req, err
}

func (a *API) listDeployments(ctx context.Context, q deploymentQuery) (openapi.DeploymentList, error) {
	found, err := a.Deployments.List(ctx, q.filter, q.before, q.limit+1)
	if err != nil {
		return openapi.DeploymentList{}, err
	}
	var next string
	if len(found) > q.limit {
		found = found[:q.limit]
		next = q.list.CursorAfterID(found[q.limit-1].ID)
	}
	return openapi.DeploymentList{Deployments: deploymentsOf(found), NextCursor: next}, nil
}

func readDeploymentID(x *endpoint.Exchange) (uuid.UUID, error) {
	id, err := x.ID("deployment_id")
	if err != nil {
		return id, err
	}
	return id, x.NoQuery()
}

// readDeploymentAction reads a POST that needs no body.
func readDeploymentAction(x *endpoint.Exchange) (uuid.UUID, error) {
	id, err := readDeploymentID(x)
	if err != nil {
		return id, err
	}
	return id, x.NoBody()
}

func (a *API) getDeployment(ctx context.Context, id uuid.UUID) (openapi.Deployment, error) {
	d, superseded, err := a.Deployments.Deployment(ctx, id)
	if err != nil {
		return openapi.Deployment{}, a.orGroup(ctx, id, err)
	}
	response := deploymentOf(d)
	for _, a := range superseded {
		response.Attempts = append(response.Attempts, attemptOf(a))
	}
	if !d.StartedAt.IsZero() {
		response.Attempts = append(response.Attempts, attemptOf(fleet.Attempt{
			Number: d.Attempt, Status: d.Status, Message: d.Message, Output: d.Output, StartedAt: d.StartedAt, FinishedAt: d.FinishedAt,
		}))
	}
	return response, nil
}

func (a *API) cancelDeployment(ctx context.Context, id uuid.UUID) (openapi.Deployment, error) {
	d, err := a.Deployments.Cancel(ctx, id)
	if err != nil {
		return openapi.Deployment{}, a.orGroup(ctx, id, err)
	}
	return deploymentOf(d), nil
}

// orGroup returns err or, if no deployment was found and the id is that of a group, an error with that hint.
func (a *API) orGroup(ctx context.Context, id uuid.UUID, err error) error {
	if !errors.Is(err, fleet.ErrDeploymentNotFound) {
		return err
	}
	if _, groupErr := a.Deployments.Group(ctx, id); groupErr != nil {
		return err
	}
	return problem.New(http.StatusNotFound, fleet.ErrDeploymentNotFound.Code, "",
		"this is the id of a deployment group; list its deployments with GET /api/deployments?group_id=%s (watchbill deployments list --group %[1]s)", id)
}

func deploymentsOf(all []fleet.Deployment) []openapi.Deployment {
	converted := make([]openapi.Deployment, len(all))
	for i := range all {
		converted[i] = deploymentOf(all[i])
	}
	return converted
}

func deploymentOf(d fleet.Deployment) openapi.Deployment {
	return openapi.Deployment{
		ID: d.ID.String(), AgentID: d.AgentID, GroupID: d.GroupID.String(), Name: d.Name, Spec: d.Spec,
		Status: openapi.DeploymentStatus(d.Status), Attempt: int32(d.Attempt), MaxAttempts: int32(d.MaxAttempts),
		LeaseSeconds: wholeSeconds(d.Lease), LeaseExpiresAt: d.LeaseExpiresAt.UTC(), AvailableAt: d.AvailableAt.UTC(),
		Progress: d.Progress, Message: endpoint.Deref(d.Message), Output: endpoint.Deref(d.Output),
		CreatedAt: d.CreatedAt.UTC(), StartedAt: d.StartedAt.UTC(), FinishedAt: d.FinishedAt.UTC(),
	}
}

func attemptOf(a fleet.Attempt) openapi.DeploymentAttempt {
	return openapi.DeploymentAttempt{
		Attempt: int32(a.Number), Status: openapi.DeploymentStatus(a.Status), Message: endpoint.Deref(a.Message), Output: endpoint.Deref(a.Output),
		StartedAt: a.StartedAt.UTC(), FinishedAt: a.FinishedAt.UTC(),
	}
}
