package server

import (
	"context"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
)

// The interfaces that the API requires. Their methods return faults as *fault.Error (fault.ErrUnavailable if the
// database cannot be reached or did not respond in time). Any other error is a defect: it is logged and the status is
// 500.

// Grants looks up enrollment tokens.
type Grants interface {
	// Find returns the grant of a token, or nil if it is not an enrollment token.
	Find(token fleet.TokenHash) *fleet.Grant
	// Any reports whether there may be a grant.
	Any() bool
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
}

// Database reports the database's state.
type Database interface {
	// Ping returns the schema version, or an error if the database cannot be reached.
	Ping(ctx context.Context) (schemaVersion int64, err error)
	Pool() metrics.PoolSample
}
