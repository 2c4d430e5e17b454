package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/session"
)

// credential is the kind of token that a request has.
type credential int

const (
	noCredential         credential = iota
	adminCredential                 // see isAdmin
	enrollmentCredential            // see Grants
	ingestCredential
	agentCredential
	accountCredential // a ServiceAccount's
	sessionCredential // a session's cookie
	credentials
)

// rights is the table of admitted requests, by the access of the route and the credential of the request. Unknown
// tokens are rejected before.
var rights = [endpoint.Accesses][credentials]bool{
	endpoint.Admin:        {adminCredential: true, sessionCredential: true},
	endpoint.TokenIssuer:  {adminCredential: true},
	endpoint.Enroller:     {adminCredential: true, enrollmentCredential: true},
	endpoint.AgentOnly:    {agentCredential: true},
	endpoint.AgentOrAdmin: {adminCredential: true, agentCredential: true},
	endpoint.LogReader:    {adminCredential: true, agentCredential: true, sessionCredential: true},
	endpoint.Ingester:     {ingestCredential: true},
	endpoint.Exporter:     {ingestCredential: true},
	endpoint.Reporter:     {adminCredential: true, accountCredential: true, sessionCredential: true},
	endpoint.SignedIn:     {sessionCredential: true},
}

// needs describes the token that a route requires, for callers that sent another kind of token.
var needs = [endpoint.Accesses]string{
	endpoint.Enroller:     "an enrollment token (ENROLLMENT_TOKEN of the server) or the admin token",
	endpoint.AgentOnly:    "the token of the agent, which enrolling printed",
	endpoint.AgentOrAdmin: "the token of the agent, which enrolling printed, or the admin token",
	endpoint.LogReader:    "the token of the agent, which enrolling printed, or the admin token",
	endpoint.Ingester:     "the ingest token (INGEST_TOKEN of the server)",
	endpoint.Exporter:     "the ingest token (INGEST_TOKEN of the server)",
}

// credentialNames are the names of credentials in error messages.
var credentialNames = [credentials]string{
	adminCredential: "the admin token", enrollmentCredential: "an enrollment token", ingestCredential: "the ingest token", agentCredential: "an agent's token",
}

// refusal returns the error for a caller that may not use the route.
func refusal(who endpoint.Access, shown credential) error {
	switch {
	case who == endpoint.SignedIn:
		return errNotSignedIn
	case isAdmins(who):
		return errForbidden
	case shown == noCredential:
		return errNoToken
	}
	return problem.New(http.StatusForbidden, "forbidden", "", "this needs %s, not %s", needs[who], credentialNames[shown])
}

var (
	errForbidden = problem.New(http.StatusForbidden, "forbidden", "", "this needs the admin token")

	errNotSignedIn = problem.New(http.StatusUnauthorized, session.ErrNone.Code, "", "%s", session.ErrNone.Detail)

	errNoToken = problem.New(http.StatusUnauthorized, "token_missing", "", "a token is needed: send the header Authorization: Bearer …")
)

// tokens are the tokens that grant one right. There may be several during a rotation, when the old and the new token
// are both valid.
type tokens []fleet.TokenHash

// parseTokens reads comma-separated tokens, ignoring spaces around them.
func parseTokens(list string) tokens {
	var all tokens
	for token := range strings.SplitSeq(list, ",") {
		if token = strings.TrimSpace(token); token != "" {
			all = append(all, fleet.HashToken(token))
		}
	}
	return all
}

// hold reports whether the token is one of them. Its running time reveals nothing about the tokens.
func (t tokens) hold(token string) bool {
	return token != "" && t.holdHash(fleet.HashToken(token))
}

// holdHash is hold for a token's hash. It always compares with every token, so that its running time is constant.
func (t tokens) holdHash(hash fleet.TokenHash) bool {
	found := false
	for _, known := range t {
		found = known.Equal(hash) || found
	}
	return found
}

// authorize returns the caller, or an error if it may not use the route. It marks the exchange as a known caller's if
// the request has a valid token, even if that token lacks the right.
func (s *Server) authorize(x *endpoint.Exchange, who endpoint.Access) (endpoint.Caller, error) {
	switch who {
	case endpoint.Everyone:
		return s.identify(x), nil
	case endpoint.Prober:
		x.Audience = observe.Probe
		return endpoint.Caller{}, nil
	}
	shown, c, err := s.authenticate(x, who)
	switch {
	case err != nil:
		return endpoint.Caller{}, err
	case !rights[who][shown]:
		return endpoint.Caller{}, refusal(who, shown)
	case shown == sessionCredential:
		if err := s.sessions.CheckWrite(x, c.Session); err != nil {
			return endpoint.Caller{}, err
		}
	}
	return c, nil
}

// isAdmins reports whether the access is the administrators', so that agents need not be looked up in the database.
func isAdmins(who endpoint.Access) bool {
	switch who {
	case endpoint.Admin, endpoint.TokenIssuer, endpoint.Reporter, endpoint.SignedIn:
		return true
	}
	return false
}

// authenticateSession returns the caller of a request without a token that has a session's cookie. Without one, or with
// one that no replica signed, the credential is none.
func (s *Server) authenticateSession(x *endpoint.Exchange, who endpoint.Access) (credential, endpoint.Caller, error) {
	found, err := s.sessions.Of(x)
	switch {
	case err == nil:
		x.Audience = observe.Known
		return sessionCredential, endpoint.Caller{Admin: true, Session: found}, nil
	case errors.Is(err, session.ErrNone):
		return noCredential, endpoint.Caller{}, nil
	case errors.Is(err, session.ErrEnded) && (who == endpoint.SignedIn || who == endpoint.LogReader):
		return noCredential, endpoint.Caller{}, problem.New(http.StatusUnauthorized, session.ErrEnded.Code, "", "%s", session.ErrEnded.Detail)
	}
	return noCredential, endpoint.Caller{}, err
}

// authenticate returns a request's credential and caller. It first checks the kinds of token that the route admits, and
// then the others, which the error names. An agent's token that is not in the mailbox is looked up last, by
// authenticateAgent in identify.go. Routes of administrators and reports look up no token in the database.
func (s *Server) authenticate(x *endpoint.Exchange, who endpoint.Access) (credential, endpoint.Caller, error) {
	bearer := bearerToken(x.Request)
	hash := fleet.HashToken(bearer)
	known := func(shown credential, c endpoint.Caller) (credential, endpoint.Caller, error) {
		x.Audience = observe.Known
		return shown, c, nil
	}
	switch takesIngest := who == endpoint.Ingester || who == endpoint.Exporter; {
	case takesIngest && s.ingestTokens.holdHash(hash):
		return known(ingestCredential, endpoint.Caller{Ingest: hash})
	case s.isAdmin(x.Request, hash):
		return known(adminCredential, endpoint.Caller{Admin: true})
	case bearer == "" && rights[who][sessionCredential]:
		return s.authenticateSession(x, who)
	case isAdmins(who): // these never look up an agent in the database
		if s.isToken(hash) {
			x.Audience = observe.Known
		}
		if who == endpoint.Reporter && s.accounts != nil {
			c, err := s.authorizeAccount(x, bearer)
			return accountCredential, c, err
		}
		return noCredential, endpoint.Caller{}, nil
	case bearer == "":
		return noCredential, endpoint.Caller{}, nil
	}
	if who == endpoint.AgentOnly || who == endpoint.AgentOrAdmin || who == endpoint.LogReader { // nearly all requests end here
		if agent, found := s.mailbox.Lookup(hash); found {
			return known(agentCredential, endpoint.Caller{Agent: agent})
		}
	}
	if grant := s.grants.Find(hash); grant != nil {
		return known(enrollmentCredential, endpoint.Caller{Grant: grant})
	}
	if s.ingestTokens.holdHash(hash) {
		return known(ingestCredential, endpoint.Caller{Ingest: hash})
	}
	agent, err := s.authenticateAgent(x, bearer, hash)
	return agentCredential, endpoint.Caller{Agent: agent}, err
}

// isAdmin reports whether the request has an administrator's token: as bearer token, in X-Admin-Token or in the query,
// which can be turned off. Tokens are never empty, so the hash of a missing one matches nothing.
func (s *Server) isAdmin(r *http.Request, bearer fleet.TokenHash) bool {
	if s.adminTokens.holdHash(bearer) || s.adminTokens.hold(first(r.Header["X-Admin-Token"])) {
		return true
	}
	if s.noAdminTokenParameter {
		return false
	}
	return strings.Contains(r.URL.RawQuery, endpoint.AdminTokenParameter) && s.adminTokens.hold(r.URL.Query().Get(endpoint.AdminTokenParameter))
}

// holderOf returns the holder of the token in a known caller's request.
func (s *Server) holderOf(x *endpoint.Exchange) connections.Holder {
	hash := fleet.HashToken(bearerToken(x.Request))
	if x.Caller.Session != nil || s.isAdmin(x.Request, hash) {
		return connections.Holder{}
	}
	_, agent := s.mailbox.Lookup(hash)
	return connections.Holder{Token: hash, Agent: agent}
}

// bearerToken returns the bearer token of the Authorization header, or "" if there is none.
func bearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(first(r.Header["Authorization"]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// first returns the first of a header's values, or "". Unlike http.Header.Get it does not canonicalize a name.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Closed lists the routes that nobody can call because a token is not configured.
type Closed struct {
	Variable string   // the unset environment variable
	Routes   []string // method and pattern
}

// Closed returns the routes that are closed because a token variable is unset.
func (s *Server) Closed() []Closed {
	var closed []Closed
	add := func(variable string, open bool, who ...endpoint.Access) {
		if open {
			return
		}
		c := Closed{Variable: variable}
		for _, route := range routes {
			if slices.Contains(who, route.Access) {
				c.Routes = append(c.Routes, route.Method+" "+route.Pattern)
			}
		}
		closed = append(closed, c)
	}
	admins := []endpoint.Access{endpoint.Admin, endpoint.TokenIssuer, endpoint.SignedIn}
	if s.accounts == nil {
		admins = append(admins, endpoint.Reporter)
	}
	add("ADMIN_TOKEN", len(s.adminTokens) > 0, admins...)
	add("ENROLLMENT_TOKEN", s.grants.Any() || len(s.adminTokens) > 0, endpoint.Enroller) // either kind of token opens these routes
	add("INGEST_TOKEN", len(s.ingestTokens) > 0, endpoint.Ingester, endpoint.Exporter)
	return closed
}
