// Package fleet has the routes of agents and of what is deployed to them: deployments, groups, polls, status reports and
// logs.
package fleet

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Agents stores the enrolled agents.
type Agents interface {
	// Enroll stores a new agent. It returns fleet.ErrAgentExists if the id is taken. If limit is not 0 and that many
	// agents were enrolled with the same enrollment token, it returns fleet.ErrEnrollmentFull.
	Enroll(ctx context.Context, agent fleet.Agent, token fleet.TokenHash, limit int) (fleet.Agent, error)
	// RotateToken replaces an agent's token. The old token is invalid on this replica when it returns, and on all
	// replicas within a second.
	RotateToken(ctx context.Context, id string, token fleet.TokenHash) error
	// DeleteAgent removes an agent and its deployments.
	DeleteAgent(ctx context.Context, id string) error
	Agent(ctx context.Context, id string) (fleet.AgentView, error)
	// Agents lists up to limit agents that have all the labels, ordered by id, beginning after the given id.
	Agents(ctx context.Context, after string, labels map[string]string, limit int) ([]fleet.AgentView, error)
}

// Deployments stores the deployments and changes their states.
type Deployments interface {
	// Create creates a deployment for each target. With a key, the first response (the bytes that encode returns for
	// what was created) is stored in the same transaction and returned again to a repeated request. It returns
	// fleet.ErrIdempotencyMismatch if the key was used with another request. If an agent of the order does not exist, a
	// *fault.Error names the first such agent.
	Create(ctx context.Context, order fleet.Order, key *fleet.IdempotencyKey, encode func(fleet.CreatedGroup) ([]byte, error)) (response []byte, err error)
	// Pending returns the deployments that the agent may claim now.
	Pending(ctx context.Context, agentID string) (fleet.PendingSet, error)
	// Deployment returns a deployment and its superseded attempts.
	Deployment(ctx context.Context, id uuid.UUID) (fleet.Deployment, []fleet.Attempt, error)
	// List returns deployments without their specs, newest first, beginning before the given id (uuid.Max for the
	// newest).
	List(ctx context.Context, filter fleet.DeploymentFilter, before uuid.UUID, limit int) ([]fleet.Deployment, error)
	// Report applies an agent's status report. It returns fleet.ErrNotYours if the deployment is another agent's.
	Report(ctx context.Context, agentID string, id uuid.UUID, r fleet.Report) (fleet.Deployment, error)
	Cancel(ctx context.Context, id uuid.UUID) (fleet.Deployment, error)
	Group(ctx context.Context, id uuid.UUID) (fleet.Group, error)
	CancelGroup(ctx context.Context, id uuid.UUID) (fleet.Group, error)
	// AppendLog stores a chunk of an attempt's log and returns the offset of the next one. With fleet.ErrLogGap and
	// fleet.ErrLogFull it returns the offset of the log's end.
	AppendLog(ctx context.Context, agentID string, id uuid.UUID, attempt int, offset int64, chunk []byte) (next int64, err error)
	// ReadLog reads up to limit bytes from offset. attempt 0 means the latest that was claimed. The part is Complete if
	// the attempt is over and the part reaches the end of its log.
	ReadLog(ctx context.Context, id uuid.UUID, attempt int, offset int64, limit int) (fleet.LogPart, error)
}

// Options configures an API. All fields are required.
type Options struct {
	Agents      Agents
	Deployments Deployments
	Mailbox     *mailbox.Mailbox
	Recorder    *metrics.Recorder
	// MaxPollWait is the longest time that a poll is held, whatever ?wait= requests. If 0, polls are not held.
	MaxPollWait time.Duration
	// MaxReads is the number of polls that read the database at a time.
	MaxReads int

	Log    *zap.Logger
	Now    func() time.Time
	Random io.Reader      // for tokens and ids, cryptographically strong
	Jitter func() float64 // draws from [0, 1); need not be strong
}

// API serves the routes of agents and deployments.
type API struct {
	Options

	reads *pendingReads
}

// New returns an API.
func New(opts Options) *API {
	return &API{Options: opts, reads: newPendingReads(opts.Deployments.Pending, opts.MaxReads)}
}

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Post("/api/agents", endpoint.Enroller, limitedEnrollment(endpoint.Recorded(http.StatusCreated, readEnrollment, a.enrollAgent, agentEnrolled))),
		endpoint.Get("/api/agents", endpoint.Admin, endpoint.Typed(http.StatusOK, readAgentQuery, a.listAgents)),
		endpoint.Get("/api/agents/{agent_id}", endpoint.Admin, endpoint.Typed(http.StatusOK, readAgentID, a.getAgent)),
		endpoint.Delete("/api/agents/{agent_id}", endpoint.Admin, endpoint.Recorded(http.StatusNoContent, readAgentID, a.deleteAgent, agentDeleted)),
		endpoint.Post("/api/agents/{agent_id}/token", endpoint.TokenIssuer, endpoint.Recorded(http.StatusOK, readAgentAction, a.rotateAgentToken, agentTokenRotated)),

		endpoint.Post("/api/deployments", endpoint.Admin, endpoint.Recorded(http.StatusCreated, readOrder, a.createDeployments, deploymentCreated)),
		endpoint.Get("/api/deployments", endpoint.Admin, endpoint.Typed(http.StatusOK, readDeploymentQuery, a.listDeployments)),
		endpoint.Get("/api/deployments/{deployment_id}", endpoint.Admin, endpoint.Typed(http.StatusOK, readDeploymentID, a.getDeployment)),
		endpoint.Post("/api/deployments/{deployment_id}/cancel", endpoint.Admin, endpoint.Recorded(http.StatusOK, readDeploymentAction, a.cancelDeployment, deploymentCancelled)),
		endpoint.Get("/api/deployment-groups/{group_id}", endpoint.Admin, endpoint.Typed(http.StatusOK, readGroupID, a.getGroup)),
		endpoint.Post("/api/deployment-groups/{group_id}/cancel", endpoint.Admin, endpoint.Recorded(http.StatusOK, readGroupAction, a.cancelGroup, groupCancelled)),

		endpoint.Get(report.PendingRoute, endpoint.AgentOrAdmin, a.poll),
		endpoint.Post("/api/deployments/{deployment_id}/status", endpoint.AgentOnly, endpoint.Typed(http.StatusOK, readStatusReport, a.reportStatus)),
		endpoint.Post("/api/deployments/{deployment_id}/logs", endpoint.AgentOnly, endpoint.Typed(http.StatusOK, readLogChunk, a.appendLog)),
		endpoint.Get("/api/deployments/{deployment_id}/logs", endpoint.LogReader, endpoint.Typed(http.StatusOK, readLogQuery, a.readLog)),
	}
}
