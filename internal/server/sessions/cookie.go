package sessions

import (
	"errors"
	"net/http"

	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/session"
)

const (
	// cookieName is the name of the cookie. Over TLS it has a prefix with which browsers accept it only from this very
	// host, with Secure and for all paths.
	cookieName = "watchbill_session"
	hostPrefix = "__Host-"

	// maxCookies is the number of cookies with the name that are looked at. Another host of the domain may set one with
	// the same name, if it has no prefix.
	maxCookies = 4

	csrfHeader = "X-Csrf-Token"
)

var (
	errCrossSite = problem.New(http.StatusForbidden, "cross_site", "",
		"the request comes from a page of another site; a proxy must pass on the Host header that the browser sent")
	errNoCSRFToken = problem.New(http.StatusForbidden, "csrf_token", "X-CSRF-Token",
		"a write by a session needs the header X-CSRF-Token with the csrf_token of GET /api/session")
)

func (a *API) nameOf(r *http.Request) string {
	if a.IsSecure(r) {
		return hostPrefix + cookieName
	}
	return cookieName
}

func (a *API) setCookie(x *endpoint.Exchange, value string, maxAge int) {
	cookie := http.Cookie{
		Name: a.nameOf(x.Request), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: a.IsSecure(x.Request), SameSite: http.SameSiteStrictMode,
	}
	x.Header().Add("Set-Cookie", cookie.String())
}

// Of returns the session of a request, or an error of session.Sessions.Verify.
func (a *API) Of(x *endpoint.Exchange) (*session.Session, error) {
	if len(x.Request.Header["Cookie"]) == 0 {
		return nil, session.ErrNone
	}
	why := error(session.ErrNone)
	for i, cookie := range x.Request.CookiesNamed(a.nameOf(x.Request)) {
		if i == maxCookies {
			break
		}
		found, err := a.Sessions.Verify(x.Request.Context(), cookie.Value, a.AdminTokens)
		if err == nil {
			return found, nil
		}
		if errors.Is(why, session.ErrNone) {
			why = err
		}
	}
	return nil, why
}

// CheckWrite returns an error if a request that changes something comes from another site's page. Browsers send the
// cookie with such requests only if they do not know SameSite, or if the other site has the same domain.
func (a *API) CheckWrite(x *endpoint.Exchange, s *session.Session) error {
	switch x.Request.Method {
	case http.MethodGet, http.MethodHead:
		return nil
	}
	if err := a.checkOrigin(x.Request); err != nil {
		return err
	}
	token, _, err := x.HeaderValue(csrfHeader)
	if err != nil {
		return err
	}
	if !s.HasCSRFToken(token) {
		return errNoCSRFToken
	}
	return nil
}

// checkOrigin returns an error if the headers of a browser show that another site's page sent the request. Programs
// send no such headers.
func (a *API) checkOrigin(r *http.Request) error {
	if a.origin.Check(r) != nil {
		return errCrossSite
	}
	return nil
}
