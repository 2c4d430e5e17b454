package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const adminTokenParameter = "admin_token"

// access is the kind of caller that may use a route.
type access int

const (
	everyone     access = iota
	prober              // everyone, for health checks; not counted in figures
	admin               // an admin; any other token, or none, gets 403
	enroller            // the enrollment token, or an admin
	agentOnly           // an agent
	agentOrAdmin        // an agent, or an admin
	ingester            // the ingest token; admins are rejected too
	exporter            // like ingester, over OpenTelemetry's protocol, which has its own errors
	reporter            // an admin, or a Kubernetes ServiceAccount; any other token, or none, gets 403
	accesses
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
	credentials
)

// rights is the table of admitted requests, by the access of the route and the credential of the request. Unknown
// tokens are rejected before.
var rights = [accesses][credentials]bool{
	admin:        {adminCredential: true},
	enroller:     {adminCredential: true, enrollmentCredential: true},
	agentOnly:    {agentCredential: true},
	agentOrAdmin: {adminCredential: true, agentCredential: true},
	ingester:     {ingestCredential: true},
	exporter:     {ingestCredential: true},
	reporter:     {adminCredential: true, accountCredential: true},
}

// needs describes the token that a route requires, for callers that sent another kind of token.
var needs = [accesses]string{
	enroller:     "an enrollment token (ENROLLMENT_TOKEN of the server) or the admin token",
	agentOnly:    "the token of the agent, which enrolling printed",
	agentOrAdmin: "the token of the agent, which enrolling printed, or the admin token",
	ingester:     "the ingest token (INGEST_TOKEN of the server)",
	exporter:     "the ingest token (INGEST_TOKEN of the server)",
}

// credentialNames are the names of credentials in error messages.
var credentialNames = [credentials]string{
	adminCredential: "the admin token", enrollmentCredential: "an enrollment token", ingestCredential: "the ingest token", agentCredential: "an agent's token",
}

// refusal returns the error for a caller that may not use the route.
func refusal(who access, shown credential) error {
	switch {
	case who == admin, who == reporter:
		return errForbidden
	case shown == noCredential:
		return errNoToken
	}
	return problem.New(http.StatusForbidden, "forbidden", "", "this needs %s, not %s", needs[who], credentialNames[shown])
}

// caller is who sent a request. It is the zero value for an anonymous caller of an open route and for a rejected one.
type caller struct {
	admin  bool
	agent  mailbox.Agent   // zero if the caller is not an agent
	ingest fleet.TokenHash // an ingester's token
	// grant is the grant of an enroller's token. It is nil for an admin, to whom no grant applies.
	grant *fleet.Grant
	// account is set for a ServiceAccount. Its permission to read is not checked yet.
	account *serviceAccount
}

var (
	errForbidden = problem.New(http.StatusForbidden, "forbidden", "", "this needs the admin token")
	errNotYours  = problem.New(http.StatusForbidden, "forbidden", "", "this is another agent's")

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
func (s *Server) authorize(x *exchange, who access) (caller, error) {
	switch who {
	case everyone:
		return caller{admin: s.identify(x)}, nil
	case prober:
		x.audience = observe.Probe
		return caller{}, nil
	}
	shown, c, err := s.authenticate(x, who)
	switch {
	case err != nil:
		return caller{}, err
	case !rights[who][shown]:
		return caller{}, refusal(who, shown)
	}
	return c, nil
}

// authenticate returns a request's credential and caller. It first checks the tokens that open the route, and skips
// more expensive look-ups once none can.
func (s *Server) authenticate(x *exchange, who access) (credential, caller, error) {
	bearer := bearerToken(x.r)
	hash := fleet.HashToken(bearer)
	known := func(shown credential, c caller) (credential, caller, error) {
		x.audience = observe.Known
		return shown, c, nil
	}
	switch takesIngest := who == ingester || who == exporter; {
	case takesIngest && s.ingestTokens.holdHash(hash):
		return known(ingestCredential, caller{ingest: hash})
	case s.isAdmin(x.r, hash):
		return known(adminCredential, caller{admin: true})
	case who == admin, who == reporter: // these never look up an agent in the database
		if s.isToken(hash) {
			x.audience = observe.Known
		}
		if who == reporter && s.accounts != nil {
			c, err := s.authorizeAccount(x, bearer)
			return accountCredential, c, err
		}
		return noCredential, caller{}, nil
	case bearer == "":
		return noCredential, caller{}, nil
	}
	if who == agentOnly || who == agentOrAdmin { // nearly all requests end here
		if agent, found := s.mailbox.Lookup(hash); found {
			return known(agentCredential, caller{agent: agent})
		}
	}
	if grant := s.grants.Find(hash); grant != nil {
		return known(enrollmentCredential, caller{grant: grant})
	}
	if s.ingestTokens.holdHash(hash) {
		return known(ingestCredential, caller{ingest: hash})
	}
	agent, err := s.authenticateAgent(x, bearer, hash)
	return agentCredential, caller{agent: agent}, err
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
	return strings.Contains(r.URL.RawQuery, adminTokenParameter) && s.adminTokens.hold(r.URL.Query().Get(adminTokenParameter))
}

// holderOf returns the holder of the token in a known caller's request.
func (s *Server) holderOf(r *http.Request) connections.Holder {
	hash := fleet.HashToken(bearerToken(r))
	if s.isAdmin(r, hash) {
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

// authenticateAgentInPath returns the agent named in the path if the caller may access it: an agent only itself, an
// admin any agent.
func (x *exchange) authenticateAgentInPath(box *mailbox.Mailbox) (mailbox.Agent, error) {
	id, err := x.agentID()
	if err != nil {
		return mailbox.Agent{}, err
	}
	if !x.caller.admin {
		if x.caller.agent.ID() != id {
			return mailbox.Agent{}, errNotYours
		}
		return x.caller.agent, nil
	}
	agent, ok := box.Agent(id)
	if !ok {
		return mailbox.Agent{}, fleet.ErrAgentNotFound
	}
	return agent, nil
}

// Closed lists the routes that nobody can call because a token is not configured.
type Closed struct {
	Variable string   // the unset environment variable
	Routes   []string // method and pattern
}

// Closed returns the routes that are closed because a token variable is unset.
func (s *Server) Closed() []Closed {
	var closed []Closed
	add := func(variable string, open bool, who ...access) {
		if open {
			return
		}
		c := Closed{Variable: variable}
		for _, route := range routes {
			if slices.Contains(who, route.access) {
				c.Routes = append(c.Routes, route.method+" "+route.pattern)
			}
		}
		closed = append(closed, c)
	}
	admins := []access{admin}
	if s.accounts == nil {
		admins = append(admins, reporter)
	}
	add("ADMIN_TOKEN", len(s.adminTokens) > 0, admins...)
	add("ENROLLMENT_TOKEN", s.grants.Any() || len(s.adminTokens) > 0, enroller) // either kind of token opens these routes
	add("INGEST_TOKEN", len(s.ingestTokens) > 0, ingester, exporter)
	return closed
}
