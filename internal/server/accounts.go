package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe"
)

// What a ServiceAccount may do to reports, in Kubernetes' words.
const (
	mayCreate = "create"
	mayGet    = "get"
)

// serviceAccount is one of Kubernetes that asks.
type serviceAccount struct {
	remote, token   string
	namespace, name string
}

// String is how logs name it.
func (a *serviceAccount) String() string { return a.namespace + "/" + a.name }

var errNoReporter = newProblem(http.StatusForbidden, "forbidden", "", "this needs the admin token, or the token of a Kubernetes ServiceAccount")

// authorizeAccount finds out which ServiceAccount asks. One that wants to make a report must have the right to in its own
// namespace; what others may see is found out when it is known what they ask for.
func (s *Server) authorizeAccount(x *exchange, bearer string) (caller, error) {
	if strings.Count(bearer, ".") != 2 { // as a JWT has it; what else may be a token is not shown to Kubernetes
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

// checkVisible returns nil if the reports of a namespace are the caller's to see: all are an admin's.
func (s *Server) checkVisible(ctx context.Context, account *serviceAccount, namespace string) error {
	if account == nil {
		return nil
	}
	return s.accounts.Allow(ctx, account.remote, account.token, mayGet, namespace)
}

// isForbidden tells a right that is missing from one that could not be asked for.
func isForbidden(err error) bool {
	var problem *fault.Error
	return errors.As(err, &problem) && problem.Kind == fault.Forbidden
}
