package fleet

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
)

const (
	// syncWithin limits how long a response waits for the mailbox to include a change. The next sweep includes it anyway.
	syncWithin = time.Second

	// For one page of a filtered list, at most maxScans batches of scanBatch agents are read. After that the page is
	// returned short, with a cursor to continue.
	scanBatch = 1000
	maxScans  = 20
)

// limitedEnrollment applies the rate limit of enrollment tokens before the request is read.
func limitedEnrollment(enroll endpoint.Handler) endpoint.Handler {
	return func(x *endpoint.Exchange) error {
		if grant := x.Caller.Grant; grant != nil {
			if err := x.Admit(ratelimit.Enroll, ratelimit.Subject{Token: grant.Token}, 1); err != nil {
				return err
			}
		}
		return enroll(x)
	}
}

// enrollRequest is an agent to enroll and the grant that allows it.
type enrollRequest struct {
	agent fleet.Agent
	grant *fleet.Grant // nil for an admin
}

func readEnrollment(x *endpoint.Exchange) (enrollRequest, error) {
	if err := x.NoQuery(); err != nil {
		return enrollRequest{}, err
	}
	var body struct {
		openapi.EnrollAgentRequest
		ID *openapi.AgentID `json:"id"` // distinguishes a missing id from an empty one
	}
	if err := x.DecodeUpTo(input.MaxSmallBody, &body); err != nil {
		return enrollRequest{}, err
	}
	agent := fleet.Agent{
		Name: body.Name, Labels: body.Labels, Version: body.Version,
		PollInterval: seconds(body.PollIntervalSeconds, fleet.DefaultPollInterval),
	}
	if body.ID != nil {
		agent.ID = *body.ID
		if err := fleet.ValidateAgentID("id", agent.ID); err != nil {
			return enrollRequest{}, err
		}
	}
	return enrollRequest{agent, x.Caller.Grant}, nil
}

// enrollAgent enrolls an agent. It generates an id if the request has none.
func (a *API) enrollAgent(ctx context.Context, e enrollRequest) (openapi.EnrolledAgent, error) {
	agent := e.agent
	if agent.ID == "" {
		id, err := endpoint.NewID(a.Random)
		if err != nil {
			return openapi.EnrolledAgent{}, err
		}
		agent.ID = id.String()
	}
	if err := agent.Validate(); err != nil {
		return openapi.EnrolledAgent{}, err
	}
	limit := 0
	if e.grant != nil {
		var err error
		if agent, err = e.grant.Admit(agent, a.Now()); err != nil {
			return openapi.EnrolledAgent{}, err
		}
		if err := agent.Validate(); err != nil { // the grant's labels may exceed the limit
			return openapi.EnrolledAgent{}, err
		}
		limit = e.grant.MaxAgents
	}
	token, err := fleet.NewToken(a.Random)
	if err != nil {
		return openapi.EnrolledAgent{}, err
	}
	agent, err = a.Agents.Enroll(ctx, agent, fleet.HashToken(token), limit)
	if err != nil {
		return openapi.EnrolledAgent{}, err
	}
	a.sync(ctx)
	return withToken(fleet.AgentView{Agent: agent, State: fleet.Offline}, token), nil
}

type agentQuery struct {
	list     input.List
	after    string
	limit    int
	state    fleet.State     // if empty, any
	selector *fleet.Selector // if nil, any
}

func readAgentQuery(x *endpoint.Exchange) (agentQuery, error) {
	q := x.Query()
	req := agentQuery{limit: q.Limit(), state: input.OneOf(&q, "state", fleet.Online, fleet.Late, fleet.Offline)}
	label, hasLabel := q.Text("label")
	if hasLabel {
		selector, err := fleet.ParseSelector("label", label)
		if err != nil {
			q.Keep(err)
		}
		req.selector = &selector
	}
	req.list = input.NewList("agents", string(req.state), label)
	cursor, given := q.Text("cursor")
	if err := q.Done(); err != nil {
		return req, err
	}
	var err error
	req.after, err = req.list.AfterAgent(cursor, given)
	return req, err
}

func (q agentQuery) wants(a fleet.AgentView) bool {
	return (q.state == "" || a.State == q.state) && (q.selector == nil || q.selector.Matches(a.Labels))
}

// listAgents reads batches until a page is full. It looks for one agent more than the page holds, to find out whether
// there is a next page.
func (a *API) listAgents(ctx context.Context, q agentQuery) (openapi.AgentList, error) {
	batch, labels := q.limit+1, map[string]string{}
	if q.state != "" || q.selector != nil {
		batch = scanBatch
	}
	if q.selector != nil {
		labels = q.selector.Equalities()
	}
	page := openapi.AgentList{Agents: []openapi.Agent{}}
	for range maxScans {
		views, err := a.Agents.Agents(ctx, q.after, labels, batch)
		if err != nil {
			return page, err
		}
		for _, view := range views {
			view = a.freshened(view)
			if !q.wants(view) {
				continue
			}
			if len(page.Agents) == q.limit {
				page.NextCursor = q.list.Cursor(page.Agents[q.limit-1].ID)
				return page, nil
			}
			page.Agents = append(page.Agents, agentOf(view))
		}
		if len(views) < batch {
			return page, nil
		}
		q.after = views[len(views)-1].ID
	}
	page.NextCursor = q.list.Cursor(q.after)
	return page, nil
}

func readAgentID(x *endpoint.Exchange) (string, error) {
	id, err := x.AgentID()
	if err != nil {
		return "", err
	}
	return id, x.NoQuery()
}

// readAgentAction reads a POST that needs no body.
func readAgentAction(x *endpoint.Exchange) (string, error) {
	id, err := readAgentID(x)
	if err != nil {
		return "", err
	}
	return id, x.NoBody()
}

func (a *API) getAgent(ctx context.Context, id string) (openapi.Agent, error) {
	view, err := a.Agents.Agent(ctx, id)
	if err != nil {
		return openapi.Agent{}, err
	}
	return agentOf(a.freshened(view)), nil
}

// freshened returns the agent with this replica's last-seen time if that is newer than the database's.
func (a *API) freshened(view fleet.AgentView) fleet.AgentView {
	agent, known := a.Mailbox.Agent(view.ID)
	if !known {
		return view
	}
	if seen := agent.LastSeen(); seen.After(view.Presence.LastSeenAt) {
		view.Presence.LastSeenAt = seen
		view.State = view.Agent.State(a.Now())
	}
	return view
}

func (a *API) deleteAgent(ctx context.Context, id string) (endpoint.Nothing, error) {
	if err := a.Agents.DeleteAgent(ctx, id); err != nil {
		return endpoint.Nothing{}, err
	}
	a.sync(ctx)
	return endpoint.Nothing{}, nil
}

// rotateAgentToken replaces an agent's token. It reads the agent first, because a failure after the rotation would lose
// the new token.
func (a *API) rotateAgentToken(ctx context.Context, id string) (openapi.EnrolledAgent, error) {
	view, err := a.Agents.Agent(ctx, id)
	if err != nil {
		return openapi.EnrolledAgent{}, err
	}
	token, err := fleet.NewToken(a.Random)
	if err != nil {
		return openapi.EnrolledAgent{}, err
	}
	if err := a.Agents.RotateToken(ctx, id, fleet.HashToken(token)); err != nil {
		return openapi.EnrolledAgent{}, err
	}
	a.sync(ctx)
	return withToken(view, token), nil
}

// sync waits until this replica's mailbox includes what was just committed, so that the client can use it here as soon
// as it has the response. If that fails, the next sweep includes it.
func (a *API) sync(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, syncWithin)
	defer cancel()
	if err := a.Mailbox.Sync(ctx); err != nil {
		a.Log.Debug("the mailbox does not know of a change yet", zap.Error(err))
	}
}

func agentOf(a fleet.AgentView) openapi.Agent {
	return openapi.Agent{
		ID: a.ID, Name: a.Name, Labels: a.Labels, PollIntervalSeconds: wholeSeconds(a.PollInterval),
		State: openapi.AgentState(a.State), LastSeenAt: a.Presence.LastSeenAt.UTC(), RegisteredAt: a.RegisteredAt.UTC(), Version: a.Version,
		EnrolledBy: a.EnrolledBy,
	}
}

func withToken(a fleet.AgentView, token string) openapi.EnrolledAgent {
	agent := agentOf(a)
	return openapi.EnrolledAgent{
		ID: agent.ID, Name: agent.Name, Labels: agent.Labels, PollIntervalSeconds: agent.PollIntervalSeconds,
		State: agent.State, LastSeenAt: agent.LastSeenAt, RegisteredAt: agent.RegisteredAt, Version: agent.Version,
		EnrolledBy: agent.EnrolledBy, Token: token,
	}
}

// seconds converts an optional field in seconds, which defaults to otherwise.
func seconds(given *int32, otherwise time.Duration) time.Duration {
	if given == nil {
		return otherwise
	}
	return time.Duration(*given) * time.Second
}

func wholeSeconds(d time.Duration) int32 { return int32(d / time.Second) }
