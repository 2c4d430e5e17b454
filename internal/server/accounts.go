package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// The Kubernetes verbs that a ServiceAccount needs for reports.
const (
	mayCreate = "create"
	mayGet    = "get"
)

var errNoReporter = problem.New(http.StatusForbidden, "forbidden", "", "this needs the admin token, or the token of a Kubernetes ServiceAccount")

// authorizeAccount returns the ServiceAccount that sent the request. To create a report, the account needs permission
// in its own namespace. Permission to read is checked later, when the requested namespace is known.
func (s *Server) authorizeAccount(x *endpoint.Exchange, bearer string) (endpoint.Caller, error) {
	if strings.Count(bearer, ".") != 2 { // not a JWT; other tokens are not sent to Kubernetes
		return endpoint.Caller{}, errNoReporter
	}
	ctx := x.Request.Context()
	remote := s.proxies.Client(x.Request)
	namespace, name, err := s.accounts.Account(ctx, remote, bearer)
	if err == nil {
		x.Audience = observe.Known
	}
	if err == nil && x.Request.Method == http.MethodPost {
		err = s.accounts.Allow(ctx, remote, bearer, mayCreate, namespace)
	}
	if err != nil {
		return endpoint.Caller{}, err
	}
	return endpoint.Caller{Account: &endpoint.ServiceAccount{
		Remote: x.Request.RemoteAddr, Token: bearer, Namespace: namespace, Name: name,
	}}, nil
}

// checkVisible returns nil if the caller may see a namespace's reports. An admin, whose account is nil, may see all.
func (s *Server) checkVisible(ctx context.Context, account *endpoint.ServiceAccount, namespace string) error {
	if account == nil {
		return nil
	}
	return s.accounts.Allow(ctx, account.Remote, account.Token, mayGet, namespace)
}

// isForbidden reports whether the error is a missing permission, as opposed to a failure to check it.
func isForbidden(err error) bool {
	var problem *fault.Error
	return errors.As(err, &problem) && problem.Kind == fault.Forbidden
}
