package server

import (
	"context"
	"io"
	"net/http"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
)

// What the API needs of the world behind it. Faults come as *fault.Error (fault.ErrUnavailable: the database cannot be
// reached or did not answer in time). Any other error is a defect, logged and answered 500.

// Agents keeps the enrolled agents.
type Agents interface {
	// Enroll stores a new agent. fleet.ErrAgentExists if its id is taken. With a limit, which is not 0, it is
	// fleet.ErrEnrollmentFull if as many agents were enrolled by the same enrollment token.
	Enroll(ctx context.Context, agent fleet.Agent, token fleet.TokenHash, limit int) (fleet.Agent, error)
	// RotateToken replaces an agent's token; the old one is dead when it returns, everywhere within a second.
	RotateToken(ctx context.Context, id string, token fleet.TokenHash) error
	// DeleteAgent removes an agent and its deployments.
	DeleteAgent(ctx context.Context, id string) error
	Agent(ctx context.Context, id string) (fleet.AgentView, error)
	// Agents lists up to most agents with all these labels, by id, after the given one.
	Agents(ctx context.Context, after string, labels map[string]string, limit int) ([]fleet.AgentView, error)
}

// Grants are the enrollment tokens and what they give.
type Grants interface {
	// Find returns what a token gives; nil if it is no enrollment token.
	Find(token fleet.TokenHash) *fleet.Grant
	// Any reports whether there may be one.
	Any() bool
}

// Deployments keeps the deployments and moves them through their states.
type Deployments interface {
	// Create makes a deployment for each target. With a key, the first answer (the bytes that encode made of what was
	// created) is kept in the same transaction and returned again to a repetition; fleet.ErrIdempotencyMismatch if the
	// key came with another request. The order's agents must exist: an *fault.Error names the first that does not.
	Create(ctx context.Context, order fleet.Order, key *fleet.IdempotencyKey, encode func(fleet.CreatedGroup) ([]byte, error)) (answer []byte, err error)
	// Pending reads what the agent may claim now.
	Pending(ctx context.Context, agentID string) (fleet.PendingSet, error)
	// Deployment reads one with the attempts that retries have superseded.
	Deployment(ctx context.Context, id uuid.UUID) (fleet.Deployment, []fleet.Attempt, error)
	// List reads newest first, without specs, those before the given id (uuid.Max: from the newest).
	List(ctx context.Context, filter fleet.DeploymentFilter, before uuid.UUID, limit int) ([]fleet.Deployment, error)
	// Report applies an agent's report. fleet.ErrNotYours if the deployment is another's.
	Report(ctx context.Context, agentID string, id uuid.UUID, r fleet.Report) (fleet.Deployment, error)
	Cancel(ctx context.Context, id uuid.UUID) (fleet.Deployment, error)
	Group(ctx context.Context, id uuid.UUID) (fleet.Group, error)
	CancelGroup(ctx context.Context, id uuid.UUID) (fleet.Group, error)
	// AppendLog stores a chunk of an attempt's log and returns where the next one starts; with fleet.ErrLogGap and
	// fleet.ErrLogFull the offset returned is where the log ends.
	AppendLog(ctx context.Context, agentID string, id uuid.UUID, attempt int, offset int64, chunk []byte) (next int64, err error)
	// ReadLog reads up to most bytes from offset. attempt 0 is the latest that was claimed. complete says that the
	// attempt is over and this reaches its end.
	ReadLog(ctx context.Context, id uuid.UUID, attempt int, offset int64, limit int) (fleet.LogPart, error)
}

// Measurements answers from the rollups of all replicas.
type Measurements interface {
	// Facts reads what a window holds. The parts that a caller does not need are not read.
	Facts(ctx context.Context, window report.Window, parts report.Parts) (report.Facts, error)
}

// Reports keeps the documents. Those of an administrator have no Kubernetes namespace: "".
type Reports interface {
	// SaveReport stores a document. In a namespace it replaces the one of its name and window. With keep above 0 the oldest
	// of the namespace and name go, but for so many.
	SaveReport(ctx context.Context, namespace string, doc report.Document, keep int) error
	// Report returns the document as it was stored, in JSON, and the namespace that it is of.
	Report(ctx context.Context, id uuid.UUID) (namespace string, doc []byte, err error)
	// ListReports reads newest first, those before the given id; where namespace or name is not empty, only those of it.
	ListReports(ctx context.Context, namespace, name string, before uuid.UUID, limit int) ([]report.Heading, error)
}

// ServiceAccounts knows those of a Kubernetes cluster by their tokens. What is wrong with a token, or which right is
// missing, comes as a *fault.Error (Forbidden); so does it if Kubernetes cannot be asked (Unavailable).
type ServiceAccounts interface {
	// Account tells the namespace and name of the account that a token is of. remote is the address that it came from.
	Account(ctx context.Context, remote, token string) (namespace, name string, err error)
	// Allow returns nil if the token's account may "create" or "get" (verb) the reports of a namespace.
	Allow(ctx context.Context, remote, token, verb, namespace string) error
}

// Ledger takes executions in.
type Ledger interface {
	// Append stores what may be stored of a batch, and returns once that is committed. Of what it rejects, Index is into
	// the batch's Executions. fault.ErrUnavailable: nothing of the batch was acknowledged, and all of it may be repeated.
	Append(ctx context.Context, batch execution.Batch) (execution.Outcome, error)
}

// Executions answers about executions: from rollups, but for Errors and UserActivity, which read rows.
type Executions interface {
	// Facts reads what a window holds. It comes back aligned (widened) to what is kept.
	Facts(ctx context.Context, window execution.Window) (execution.Facts, error)
	Costs(ctx context.Context, query execution.CostQuery) (execution.Costs, error)
	// Errors reads up to most of those that failed or timed out, newest first, after a position.
	Errors(ctx context.Context, after execution.Position, limit int) ([]execution.Execution, error)
	// UserActivity reads up to most of a user's, newest first, after a position; as that user, under row-level security.
	UserActivity(ctx context.Context, userID string, after execution.Position, limit int) ([]execution.Execution, error)
	// EraseUser deletes all that is kept of a user. What is deleted stays so if it fails half way; it may be repeated.
	EraseUser(ctx context.Context, userID string) (execution.Erased, error)
	// Names lists the names that figures tell apart, and how many there may be of a kind.
	Names(ctx context.Context) (names []execution.Name, limit int, err error)
	// DropName frees a name's place, and reports whether it had one.
	DropName(ctx context.Context, kind, name string) (dropped bool, err error)
}

// Traces takes OpenTelemetry's export requests, and answers in the protocol's own terms.
type Traces interface {
	// Export reads a request's body, stores what is in it and makes the answer, whatever happens.
	Export(ctx context.Context, header http.Header, body io.Reader) (status int, mediaType string, answer []byte)
	// Refuse makes the answer to a request that is refused here.
	Refuse(header http.Header, status int, message string) (mediaType string, answer []byte)
}

// Gateway runs AI agents.
type Gateway interface {
	// Start picks the agent for a prompt, and makes sure that the run's outcome can be recorded. A *fault.Error
	// otherwise: no agent for the type, or no room to record it (fault.ErrUnavailable).
	Start(prompt execution.Prompt) (execution.Run, error)
	// AgentFor is the name of the agent that a type picks; empty if none does.
	AgentFor(promptType string) string
}

// Database tells how the database is.
type Database interface {
	// Ping reports the schema version, or why the database cannot be reached.
	Ping(ctx context.Context) (schemaVersion int64, err error)
	Pool() metrics.PoolSample
}
