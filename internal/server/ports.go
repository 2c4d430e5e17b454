package server

import (
	"context"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/executions"
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

// ServiceAccounts checks the tokens and permissions of a Kubernetes cluster's ServiceAccounts. For an invalid token or
// a missing permission its methods return a *fault.Error of kind Forbidden, and Unavailable if Kubernetes cannot be
// reached.
type ServiceAccounts interface {
	// Account returns the namespace and name of a token's account. remote is the client's address.
	Account(ctx context.Context, remote, token string) (namespace, name string, err error)
	// Allow returns nil if the token's account may create or get (verb "create" or "get") reports of a namespace.
	Allow(ctx context.Context, remote, token, verb, namespace string) error
}

// Database reports the database's state.
type Database interface {
	// Ping returns the schema version, or an error if the database cannot be reached.
	Ping(ctx context.Context) (schemaVersion int64, err error)
	Pool() metrics.PoolSample
}

// Executions reads executions.
type Executions = executions.Store
