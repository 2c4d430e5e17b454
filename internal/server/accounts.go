package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// The Kubernetes verbs that a ServiceAccount needs for reports.
const (
	mayCreate = "create"
	mayGet    = "get"
)

// serviceAccount is the Kubernetes ServiceAccount that sent a request.
type serviceAccount struct {
	remote, token   string
	namespace, name string
}

// String returns the account's name for logs.
func (a *serviceAccount) String() string { return a.namespace + "/" + a.name }

var errNoReporter = problem.New(http.StatusForbidden, "forbidden", "", "this needs the admin token, or the token of a Kubernetes ServiceAccount")

// authorizeAccount returns the ServiceAccount that sent the request. To create a report, the account needs permission
// in its own namespace. Permission to read is checked later, when the requested namespace is known.
func (s *Server) authorizeAccount(x *exchange, bearer string) (caller, error) {
	if strings.Count(bearer, ".") != 2 { // not a JWT; other tokens are not sent to Kubernetes
		return caller{}, errNoReporter
	}
	ctx := x.r.Context()
	remote := s.proxies.Client(x.r)
	namespace, name, err := s.accounts.Account(ctx, remote, bearer)
	if err == nil {
		x.audience = observe.Known
	}
	if err == nil && x.r.Method == http.MethodPost {
		err = s.accounts.Allow(ctx, remote, bearer, mayCreate, namespace)
	}
	if err != nil {
		return caller{}, err
	}
	return caller{account: &serviceAccount{x.r.RemoteAddr, bearer, namespace, name}}, nil
}

// checkVisible returns nil if the caller may see a namespace's reports. An admin, whose account is nil, may see all.
func (s *Server) checkVisible(ctx context.Context, account *serviceAccount, namespace string) error {
	if account == nil {
		return nil
	}
	return s.accounts.Allow(ctx, account.remote, account.token, mayGet, namespace)
}

// isForbidden reports whether the error is a missing permission, as opposed to a failure to check it.
func isForbidden(err error) bool {
	var problem *fault.Error
	return errors.As(err, &problem) && problem.Kind == fault.Forbidden
}
