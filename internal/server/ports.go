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

// The interfaces that the API requires. Their methods return faults as *fault.Error (fault.ErrUnavailable if the
// database cannot be reached or did not respond in time). Any other error is a defect: it is logged and the status is
// 500.

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

// Grants looks up enrollment tokens.
type Grants interface {
	// Find returns the grant of a token, or nil if it is not an enrollment token.
	Find(token fleet.TokenHash) *fleet.Grant
	// Any reports whether there may be a grant.
	Any() bool
}

// Deployments stores the deployments and changes their states.
type Deployments interface {
	// Create creates a deployment for each target. With a key, the first answer (the bytes that encode returns for what
	// was created) is stored in the same transaction and returned again to a repeated request. It returns
	// fleet.ErrIdempotencyMismatch if the key was used with another request. If an agent of the order does not exist, a
	// *fault.Error names the first such agent.
	Create(ctx context.Context, order fleet.Order, key *fleet.IdempotencyKey, encode func(fleet.CreatedGroup) ([]byte, error)) (answer []byte, err error)
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

// Measurements reads the rollups of all replicas.
type Measurements interface {
	// Facts returns the measurements of a window. It reads only the given parts.
	Facts(ctx context.Context, window report.Window, parts report.Parts) (report.Facts, error)
}

// Reports stores report documents. Those of administrators have the namespace "".
type Reports interface {
	// SaveReport stores a document. In a namespace it replaces the document of the same name and window. If keep is
	// positive, all but the newest keep documents of the same namespace and name are deleted.
	SaveReport(ctx context.Context, namespace string, doc report.Document, keep int) error
	// Report returns a document as stored, in JSON, and its namespace.
	Report(ctx context.Context, id uuid.UUID) (namespace string, doc []byte, err error)
	// ListReports lists reports, newest first, beginning before the given id. namespace and name select reports unless
	// they are empty.
	ListReports(ctx context.Context, namespace, name string, before uuid.UUID, limit int) ([]report.Heading, error)
}

// ServiceAccounts checks the tokens and permissions of a Kubernetes cluster's ServiceAccounts. For an invalid token or
// a missing permission its methods return a *fault.Error of kind Forbidden, and Unavailable if Kubernetes cannot be
// reached.
type ServiceAccounts interface {
	// Account returns the namespace and name of a token's account. remote is the client's address.
	Account(ctx context.Context, remote, token string) (namespace, name string, err error)
	// Allow returns nil if the token's account may create or get (verb "create" or "get") reports of a namespace.
	Allow(ctx context.Context, remote, token, verb, namespace string) error
}

// Ledger stores executions.
type Ledger interface {
	// Append stores the valid executions of a batch and returns once they are committed. The Index of a rejection is
	// that in the batch's Executions. It returns fault.ErrUnavailable if nothing of the batch was acknowledged; the
	// whole batch may then be sent again.
	Append(ctx context.Context, batch execution.Batch) (execution.Outcome, error)
}

// Executions reads executions: Errors and UserActivity from rows, the others from rollups.
type Executions interface {
	// Facts returns the totals of a window's executions. The returned window is widened to whole rollup periods.
	Facts(ctx context.Context, window execution.Window) (execution.Facts, error)
	Costs(ctx context.Context, query execution.CostQuery) (execution.Costs, error)
	// Errors returns up to limit executions that failed or timed out, newest first, after a position.
	Errors(ctx context.Context, after execution.Position, limit int) ([]execution.Execution, error)
	// UserActivity returns up to limit executions of a user, newest first, after a position. It reads as that user,
	// under row-level security.
	UserActivity(ctx context.Context, userID string, after execution.Position, limit int) ([]execution.Execution, error)
	// EraseUser deletes everything stored about a user. If it fails midway, what it deleted stays deleted; it may be
	// repeated.
	EraseUser(ctx context.Context, userID string) (execution.Erased, error)
	// Names lists the names that figures distinguish, and returns the limit of names of a kind.
	Names(ctx context.Context) (names []execution.Name, limit int, err error)
	// DropName frees a name's slot and reports whether it had one.
	DropName(ctx context.Context, kind, name string) (dropped bool, err error)
	ExecutionSearch
	ExecutionSeries
	ExecutionUsers
}

// Traces handles OpenTelemetry's export requests and encodes responses as the protocol defines.
type Traces interface {
	// Export reads a request's body, stores its contents and returns the response, also for failures.
	Export(ctx context.Context, header http.Header, body io.Reader) (status int, mediaType string, answer []byte)
	// Refuse returns the response to a request that the server rejects.
	Refuse(header http.Header, status int, message string) (mediaType string, answer []byte)
}

// Gateway runs AI agents.
type Gateway interface {
	// Start selects the agent for a prompt and ensures that the run's outcome can be recorded. It returns a
	// *fault.Error if there is no agent for the type, or no space to record the outcome (fault.ErrUnavailable).
	Start(prompt execution.Prompt) (execution.Run, error)
	// AgentFor returns the name of the agent for a prompt type, or "" if there is none.
	AgentFor(promptType string) string
}

// Database reports the database's state.
type Database interface {
	// Ping returns the schema version, or an error if the database cannot be reached.
	Ping(ctx context.Context) (schemaVersion int64, err error)
	Pool() metrics.PoolSample
}
