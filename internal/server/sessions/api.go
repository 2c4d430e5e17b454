// Package sessions has the routes by which people sign in from a browser and out again, and the checks of requests that
// have a session instead of a token.
package sessions

import (
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/session"
)

// The limits of signing in, of this replica. Failures are limited by address; a caller with a valid token is never
// rejected for the failures of others. Successes are limited together, which bounds how many sessions can be ended.
var (
	failureLimit = ratelimit.Limit{Scope: ratelimit.Enroll, By: ratelimit.ByUser, Rate: 10, Window: time.Minute, Burst: 10}
	successLimit = ratelimit.Limit{Scope: ratelimit.Gateway, Rate: 120, Window: time.Minute, Burst: 120}
)

const (
	maxAddresses = 10_000   // with a limit of their own
	maxSignIn    = 16 << 10 // bytes of a body, which anyone may send
	maxSecret    = 1 << 10  // bytes of a token or code
)

// Results of a sign-in, for metrics.
const (
	SignedIn    = "ok"
	Refused     = "refused" // unknown token or code, or one without the right
	Limited     = "limited"
	CrossSite   = "cross_site"
	Unavailable = "unavailable"
)

// Results are the results of a sign-in.
var Results = []string{SignedIn, Refused, Limited, CrossSite, Unavailable}

// Options configures an API. All fields are required unless noted otherwise.
type Options struct {
	Sessions *session.Sessions
	Codes    *session.Codes // nil for none
	// AdminTokens are the tokens that may sign in.
	AdminTokens []fleet.TokenHash
	// IsToken reports whether a hash is that of a valid token other than an administrator's.
	IsToken func(fleet.TokenHash) bool
	// IsSecure reports whether the client's request came over TLS.
	IsSecure func(*http.Request) bool
	Observe  func(result string) // counts a sign-in
	Now      func() time.Time
}

// API serves the routes.
type API struct {
	Options

	limits *ratelimit.Limiter
	origin *http.CrossOriginProtection
}

// New returns an API.
func New(opts Options) *API {
	return &API{
		Options: opts, origin: http.NewCrossOriginProtection(),
		limits: ratelimit.New(ratelimit.Options{
			Limits: ratelimit.Limits{failureLimit, successLimit}, Now: opts.Now, MaxKeys: maxAddresses,
		}),
	}
}

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Post("/api/session", endpoint.Everyone, a.signIn),
		endpoint.Get("/api/session", endpoint.SignedIn, a.getSession),
		endpoint.Delete("/api/session", endpoint.SignedIn, a.signOut),
	}
}

var (
	errUnknownCode = problem.New(http.StatusUnauthorized, "code_unknown", "code", "the code is not known, was used, or is older than five minutes")
	errNotAdmin    = problem.New(http.StatusForbidden, "forbidden", "token", "signing in needs the admin token")
	errUnknown     = problem.New(http.StatusUnauthorized, "token_unknown", "token", "the token is not known")
)

// signIn exchanges a token or a code for a session.
func (a *API) signIn(x *endpoint.Exchange) error {
	if err := a.checkOrigin(x.Request); err != nil {
		a.Observe(CrossSite)
		return err
	}
	token, code, err := readSignIn(x)
	if err != nil {
		return err
	}
	hash, err := a.check(token, code)
	if err != nil {
		return a.refuse(x, err)
	}
	x.Audience = observe.Known
	if wait, ok := a.admit(ratelimit.Gateway, ""); !ok {
		a.Observe(Limited)
		return limited(x, wait, "too many people are signing in")
	}
	_ = x.ExtendDeadlines(endpoint.ResponseTimeout) // if unsupported, the server's timeouts apply
	begun, cookie, err := a.Sessions.Begin(x.Request.Context(), hash)
	if err != nil {
		a.Observe(Unavailable)
		return err
	}
	a.Observe(SignedIn)
	x.Caller = endpoint.Caller{Admin: true, Session: begun}
	x.Record(endpoint.NewEvent("session.begun", zap.Bool("by_code", code != "")))
	a.setCookie(x, cookie, int(session.Lifetime/time.Second))
	return endpoint.SendJSON(x, http.StatusOK, view(begun))
}

func readSignIn(x *endpoint.Exchange) (token, code string, err error) {
	if err := x.NoQuery(); err != nil {
		return "", "", err
	}
	var body openapi.SignInRequest
	if err := x.DecodeUpTo(maxSignIn, &body); err != nil {
		return "", "", err
	}
	switch {
	case body.Token == "" && body.Code == "":
		return "", "", problem.BadRequest("missing_field", "token", "is required, or a code")
	case body.Token != "" && body.Code != "":
		return "", "", problem.BadRequest("invalid_field", "code", "must not be given with a token")
	case len(body.Token) > maxSecret:
		return "", "", problem.BadRequest("invalid_field", "token", "must be at most %d bytes", maxSecret)
	case len(body.Code) > maxSecret:
		return "", "", problem.BadRequest("invalid_field", "code", "must be at most %d bytes", maxSecret)
	}
	return body.Token, body.Code, nil
}

// check returns the hash of the admin token that was sent, or that was exchanged for a code.
func (a *API) check(token, code string) (fleet.TokenHash, error) {
	if code != "" {
		hash, ok := a.Codes.Redeem(code)
		if !ok {
			return hash, errUnknownCode
		}
		return hash, nil
	}
	hash := fleet.HashToken(token)
	found := false
	for _, known := range a.AdminTokens { // every token, so that the running time is constant
		found = known.Equal(hash) || found
	}
	switch {
	case found:
		return hash, nil
	case a.IsToken(hash):
		return hash, errNotAdmin
	}
	return hash, errUnknown
}

// refuse returns the error for a failed sign-in, after it counted against the client's address.
func (a *API) refuse(x *endpoint.Exchange, because error) error {
	if wait, ok := a.admit(ratelimit.Enroll, addressOf(x.Shared.Address(x.Request))); !ok {
		a.Observe(Limited)
		return limited(x, wait, "too many failed sign-ins from this address")
	}
	a.Observe(Refused)
	return because
}

// admit counts a sign-in against a limit, or returns how long to wait.
func (a *API) admit(scope ratelimit.Scope, address string) (wait time.Duration, ok bool) {
	d := a.limits.Take(scope, ratelimit.Subject{User: address}, 1)
	return d.RetryAfter, d.Allowed
}

func limited(x *endpoint.Exchange, wait time.Duration, what string) error {
	seconds := max(int64((wait+time.Second-1)/time.Second), 1)
	x.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	return problem.New(http.StatusTooManyRequests, "rate_limited", "", "%s; try again in %d s", what, seconds)
}

// addressOf returns the part of a client's address that failures are counted by: all of it, or a /64 for IPv6.
func addressOf(remote string) string {
	address, err := netip.ParseAddr(remote)
	if err != nil {
		port, err := netip.ParseAddrPort(remote)
		if err != nil {
			return "others"
		}
		address = port.Addr()
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.String()
		}
	}
	return address.String()
}

func (a *API) getSession(x *endpoint.Exchange) error {
	if err := x.NoQuery(); err != nil {
		return err
	}
	return endpoint.SendJSON(x, http.StatusOK, view(x.Caller.Session))
}

func view(s *session.Session) openapi.Session {
	return openapi.Session{Role: openapi.SessionRoleAdmin, CsrfToken: s.CSRFToken, ExpiresAt: s.Expires.UTC()}
}

// signOut ends the session on all replicas and removes the cookie.
func (a *API) signOut(x *endpoint.Exchange) error {
	if err := x.NoQuery(); err != nil {
		return err
	}
	if err := x.NoBody(); err != nil {
		return err
	}
	_ = x.ExtendDeadlines(endpoint.ResponseTimeout) // if unsupported, the server's timeouts apply
	if err := a.Sessions.End(x.Request.Context(), x.Caller.Session); err != nil {
		return err
	}
	x.Record(endpoint.NewEvent("session.ended"))
	a.setCookie(x, "", -1)
	x.WriteHeader(http.StatusNoContent)
	return nil
}
