package server

import (
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// mayCreate is the Kubernetes verb that a ServiceAccount needs to create reports.
const mayCreate = "create"

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
