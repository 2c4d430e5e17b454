package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/connections"
)

const adminTokenParameter = "admin_token"

// access says who may call a route.
type access int

const (
	everyone     access = iota
	prober              // everyone, to check our health: no figure counts it
	admin               // answered 403 whatever is wrong
	enroller            // the enrollment token, or an admin
	agentOnly           // an agent
	agentOrAdmin        // an agent, or an admin
	ingester            // the ingest token: not even an admin
	exporter            // likewise, by OpenTelemetry's protocol, which has its own errors
	reporter            // an admin, or a Kubernetes ServiceAccount; answered 403 whatever is wrong
	accesses
)

// credential is what a request shows.
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

// rights says what lets a request in, by what the route wants and what the request shows. A token that is not known is refused
// before.
var rights = [accesses][credentials]bool{
	admin:        {adminCredential: true},
	enroller:     {adminCredential: true, enrollmentCredential: true},
	agentOnly:    {agentCredential: true},
	agentOrAdmin: {adminCredential: true, agentCredential: true},
	ingester:     {ingestCredential: true},
	exporter:     {ingestCredential: true},
	reporter:     {adminCredential: true, accountCredential: true},
}

// needs names the token that a route needs, for callers whose token has another right.
var needs = [accesses]string{
	enroller:     "an enrollment token (ENROLLMENT_TOKEN of the server) or the admin token",
	agentOnly:    "the token of the agent, which enrolling printed",
	agentOrAdmin: "the token of the agent, which enrolling printed, or the admin token",
	ingester:     "the ingest token (INGEST_TOKEN of the server)",
	exporter:     "the ingest token (INGEST_TOKEN of the server)",
}

// credentialNames are what a refusal calls what a request shows.
var credentialNames = [credentials]string{
	adminCredential: "the admin token", enrollmentCredential: "an enrollment token", ingestCredential: "the ingest token", agentCredential: "an agent's token",
}

// refusal returns the error for a caller whom the route is not open to.
func refusal(who access, shown credential) error {
	switch {
	case who == admin, who == reporter:
		return errForbidden
	case shown == noCredential:
		return errNoToken
	}
	return newProblem(http.StatusForbidden, "forbidden", "", "this needs %s, not %s", needs[who], credentialNames[shown])
}

// caller is who asks. None of them: a route for everyone, or somebody who is refused.
type caller struct {
	admin  bool
	agent  mailbox.Agent   // the zero one: none
	ingest fleet.TokenHash // of the token that an ingester has
	// grant is what the token of an enroller gives; nil: an admin asks, whom nothing binds.
	grant *fleet.Grant
	// account is set where a ServiceAccount asks. Of what it may see nothing is known yet.
	account *serviceAccount
}

var (
	errForbidden = newProblem(http.StatusForbidden, "forbidden", "", "this needs the admin token")
	errNotYours  = newProblem(http.StatusForbidden, "forbidden", "", "this is another agent's")

	errNoToken      = newProblem(http.StatusUnauthorized, "token_missing", "", "a token is needed: send the header Authorization: Bearer …")
	errUnknownToken = newProblem(http.StatusUnauthorized, "token_unknown", "", "the token is not known")
)

// tokens are those that give one right. Several rotate: the old and the new are good at once.
type tokens []fleet.TokenHash

// parseTokens reads comma-separated tokens. Blanks around them do not count.
func parseTokens(list string) tokens {
	var all tokens
	for token := range strings.SplitSeq(list, ",") {
		if token = strings.TrimSpace(token); token != "" {
			all = append(all, fleet.HashToken(token))
		}
	}
	return all
}

// hold says whether the token is one of them, in a time that tells nothing of them.
func (t tokens) hold(token string) bool {
	return token != "" && t.holdHash(fleet.HashToken(token))
}

// holdHash compares with each of them, whichever it may be.
func (t tokens) holdHash(hash fleet.TokenHash) bool {
	found := false
	for _, known := range t {
		found = known.Equal(hash) || found
	}
	return found
}

// authorize finds out who asks, and says whether the route is theirs. It marks the exchange as a known caller's as soon as a
// valid token is found, whatever right is missing then.
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

// authenticate finds out what a request shows, and whose that is. It looks first for what opens the route, and nowhere that
// costs more once it knows that nothing does.
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
	case who == admin, who == reporter: // no agent is looked up in the database for these
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
	if who == agentOnly || who == agentOrAdmin { // nearly all requests: look no further
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

// isAdmin reports whether the administrator's token came one of three ways, of which the query may be turned off. No
// token is empty, so the hash of an absent one matches nothing.
func (s *Server) isAdmin(r *http.Request, bearer fleet.TokenHash) bool {
	if s.adminTokens.holdHash(bearer) || s.adminTokens.hold(first(r.Header["X-Admin-Token"])) {
		return true
	}
	if s.noAdminTokenParameter {
		return false
	}
	return strings.Contains(r.URL.RawQuery, adminTokenParameter) && s.adminTokens.hold(r.URL.Query().Get(adminTokenParameter))
}

// holderOf returns whose token a known caller showed.
func (s *Server) holderOf(r *http.Request) connections.Holder {
	hash := fleet.HashToken(bearerToken(r))
	if s.isAdmin(r, hash) {
		return connections.Holder{}
	}
	_, agent := s.mailbox.Lookup(hash)
	return connections.Holder{Token: hash, Agent: agent}
}

// bearerToken returns the token of the Authorization header; empty if there is none.
func bearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(first(r.Header["Authorization"]), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// first is http.Header.Get for a name that is known to be canonical.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// authenticateAgentInPath returns the agent that the path names, if it is the caller's to ask about: an agent knows only itself.
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

// Closed is what cannot be called because no token opens it.
type Closed struct {
	Variable string   // that is unset
	Routes   []string // method and pattern
}

// Closed tells which routes an unset token variable closes.
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
	add("ENROLLMENT_TOKEN", s.grants.Any() || len(s.adminTokens) > 0, enroller) // which either of them opens
	add("INGEST_TOKEN", len(s.ingestTokens) > 0, ingester, exporter)
	return closed
}
