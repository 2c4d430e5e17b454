package server

import (
	"crypto/rand"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/session"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// signedIn is a session of a test.
type signedIn struct {
	openapi.Session
	cookie *http.Cookie
}

// header returns the headers of a request of the session's page.
func (s signedIn) header() map[string]string {
	return map[string]string{
		"Cookie": s.cookie.Name + "=" + s.cookie.Value, "X-CSRF-Token": s.CsrfToken, "Sec-Fetch-Site": "same-origin",
	}
}

// with returns the headers with one changed, or removed if the value is empty.
func (s signedIn) with(name, value string) map[string]string {
	header := s.header()
	header[name] = value
	if value == "" {
		delete(header, name)
	}
	return header
}

func (a *api) signIn(t testing.TB, token string) signedIn {
	t.Helper()
	return decodeSession(a.send(t, request{method: "POST", path: "/api/session", body: encode(t, map[string]string{"token": token})}).want(http.StatusOK))
}

func decodeSession(answer response) (s signedIn) {
	answer.t.Helper()
	answer.decode(&s.Session)
	cookies := answer.Result().Cookies()
	if len(cookies) != 1 {
		answer.t.Fatalf("got %d cookies", len(cookies))
	}
	s.cookie = cookies[0]
	return s
}

// wantCode fails the test unless the response has the status and the code.
func (r response) wantCode(status int, code string) {
	r.t.Helper()
	if got := r.want(status).problem().Code; got != code {
		r.t.Errorf("got code %s, want %s", got, code)
	}
}

// anotherReplica returns a server that shares the database and nothing else, at another time.
func (a *api) anotherReplica(t testing.TB, later time.Duration, change func(*Options)) (*api, *session.Sessions) {
	t.Helper()
	opts := a.options
	opts.Sessions = session.New(session.Options{
		Store: postgres.NewSessions(a.db), Now: func() time.Time { return time.Now().Add(later) }, Random: rand.Reader,
	})
	if change != nil {
		change(&opts)
	}
	other := *a
	var err error
	if other.Server, err = New(opts); err != nil {
		t.Fatal(err)
	}
	return &other, opts.Sessions
}

func TestSession(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	s := a.signIn(t, adminToken)
	if c := s.cookie; c.Name != "watchbill_session" || !c.HttpOnly || c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge != 43_200 || c.Domain != "" {
		t.Errorf("the cookie is %s", c)
	}
	if left := time.Until(s.ExpiresAt); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the session lasts %s", left)
	}
	var again openapi.Session
	a.send(t, request{method: "GET", path: "/api/session", header: s.header()}).want(http.StatusOK).decode(&again)
	if again != s.Session {
		t.Errorf("got %+v, want %+v", again, s.Session)
	}
	a.send(t, request{method: "GET", path: "/api/agents", header: s.with("X-CSRF-Token", "")}).want(http.StatusOK)
	a.send(t, request{method: "GET", path: "/api/reports", header: s.header()}).want(http.StatusOK)

	other := a.signIn(t, "an older one")
	if other.CsrfToken == s.CsrfToken || other.cookie.Value == s.cookie.Value {
		t.Error("two sessions are the same")
	}
	write := func(header map[string]string) response {
		return a.send(t, request{method: "POST", path: "/api/reports", body: `{"name":"n"}`, header: header})
	}
	write(s.header()).want(http.StatusCreated)
	write(s.with("Sec-Fetch-Site", "")).want(http.StatusCreated)
	for _, token := range []string{"", "x", s.CsrfToken[1:], s.CsrfToken + "x", other.CsrfToken} {
		write(s.with("X-CSRF-Token", token)).wantCode(http.StatusForbidden, "csrf_token")
	}
	for _, site := range []string{"cross-site", "same-site", "nonsense"} {
		write(s.with("Sec-Fetch-Site", site)).wantCode(http.StatusForbidden, "cross_site")
	}
	for _, origin := range []string{"https://evil.test", "null", "http://example.com.evil.test", "nonsense"} {
		header := s.with("Sec-Fetch-Site", "")
		header["Origin"] = origin
		write(header).wantCode(http.StatusForbidden, "cross_site")
	}

	a.send(t, request{method: "DELETE", path: "/api/session", header: s.with("X-CSRF-Token", "")}).wantCode(http.StatusForbidden, "csrf_token")
	gone := a.send(t, request{method: "DELETE", path: "/api/session", header: s.header()}).want(http.StatusNoContent).Result().Cookies()
	if len(gone) != 1 || gone[0].Name != s.cookie.Name || gone[0].MaxAge >= 0 || gone[0].Value != "" {
		t.Errorf("signing out sets %v", gone)
	}
	a.send(t, request{method: "GET", path: "/api/session", header: s.header()}).wantCode(http.StatusUnauthorized, "session_ended")
	a.send(t, request{method: "DELETE", path: "/api/session", header: s.header()}).wantCode(http.StatusUnauthorized, "session_ended")
	a.send(t, request{method: "GET", path: "/api/agents", header: s.header()}).wantCode(http.StatusForbidden, "session_ended")
	write(s.header()).wantCode(http.StatusForbidden, "session_ended")
	a.send(t, request{method: "GET", path: "/api/agents", header: other.header()}).want(http.StatusOK)

	log := a.log.String()
	for _, secret := range []string{adminToken, s.cookie.Value, s.CsrfToken} {
		if strings.Contains(log, secret) {
			t.Error("a secret is in the log")
		}
	}
	for _, event := range []string{"session.begun", "session.ended", `"actor":"session"`} {
		if !strings.Contains(log, event) {
			t.Errorf("the log lacks %s", event)
		}
	}
}

func TestSessionsOfOtherReplicas(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	s := a.signIn(t, adminToken)
	get := func(b *api) response {
		return b.send(t, request{method: "GET", path: "/api/agents", header: s.header()})
	}

	other, sessions := a.anotherReplica(t, 0, nil)
	get(other).want(http.StatusOK)
	late, _ := a.anotherReplica(t, session.Lifetime-time.Minute, nil)
	get(late).want(http.StatusOK)
	expired, _ := a.anotherReplica(t, session.Lifetime, nil)
	get(expired).wantCode(http.StatusForbidden, "session_ended")
	changed, _ := a.anotherReplica(t, 0, func(o *Options) { o.AdminTokens = "an older one, a newer one" })
	get(changed).wantCode(http.StatusForbidden, "session_ended")

	a.send(t, request{method: "DELETE", path: "/api/session", header: s.header()}).want(http.StatusNoContent)
	if err := sessions.Refresh(t.Context()); err != nil { // a replica does so every second
		t.Fatal(err)
	}
	get(other).wantCode(http.StatusForbidden, "session_ended")
	restarted, _ := a.anotherReplica(t, 0, nil)
	get(restarted).wantCode(http.StatusForbidden, "session_ended")
}

// A session may do what the admin token may, except issue tokens. It is no agent and ingests nothing.
func TestRightsOfSessions(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		request := w.sample(t, r)
		request.token, request.header = "-", w.session
		request.path, _, _ = strings.Cut(request.path, "?")
		request.path += "?nonsense=1" // a permitted request is rejected for its parameter
		want := http.StatusBadRequest
		switch at := r.Method + " " + r.Pattern; {
		case at == "POST /api/agents/{agent_id}/token":
			want = http.StatusForbidden
		case at == "POST /api/agents", r.Pattern == "/api/deployments/pending/{agent_id}", r.Access == endpoint.AgentOnly,
			r.Access == endpoint.Ingester, r.Access == endpoint.Exporter:
			want = http.StatusUnauthorized
		case r.Access == endpoint.Prober, r.Pattern == "/api/openapi.yaml":
			want = http.StatusOK
		}
		w.send(t, request).want(want)
	})
}

func TestNonsenseCookies(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	s := a.signIn(t, adminToken)
	name, value := s.cookie.Name, s.cookie.Value
	for _, cookie := range []string{
		"", ";", "=", name, name + "=", name + "=x", name + "=" + value[1:], name + "=" + value + "A", name + "=" + strings.Repeat("A", len(value)),
		name + "=" + strings.Repeat("A", 10_000), name + `="` + value, "__Host-" + name + "=" + value, strings.ToUpper(name) + "=" + value,
		name + "=" + strings.ReplaceAll(value, value[30:40], "AAAAAAAAAA"), name + "=\x00\xff", name + "=" + value + "==",
		strings.Repeat(name+"=x; ", 100) + name + "=" + value,
	} {
		header := s.with("Cookie", cookie)
		a.send(t, request{method: "GET", path: "/api/session", header: header}).wantCode(http.StatusUnauthorized, "no_session")
		a.send(t, request{method: "GET", path: "/api/agents", header: header}).want(http.StatusForbidden)
		a.send(t, request{method: "POST", path: "/api/reports", body: `{}`, header: header}).want(http.StatusForbidden)
		a.send(t, request{method: "GET", path: "/api/metrics", header: header}).want(http.StatusOK)
	}
	tossed := s.with("Cookie", name+"=x; "+name+"="+value) // as by another host of the domain
	a.send(t, request{method: "GET", path: "/api/agents", header: tossed}).want(http.StatusOK)
}

func TestSecureCookies(t *testing.T) {
	t.Parallel()
	proxies, err := connections.ParseTrustedProxies([]string{"192.0.2.1"}) // httptest's address
	if err != nil {
		t.Fatal(err)
	}
	trusting, direct := newAPI(t, func(o *Options) { o.TrustedProxies = proxies }), newAPI(t, nil)
	for name, tt := range map[string]struct {
		api    *api
		tls    bool
		proto  string
		secure bool
	}{
		"plain":                  {direct, false, "", false},
		"TLS":                    {direct, true, "", true},
		"an untrusted proxy":     {direct, false, "https", false},
		"a trusted proxy":        {trusting, false, "https", true},
		"its plain clients":      {trusting, false, "http", false},
		"proxies in a row":       {trusting, false, "HTTPS , http", true},
		"a plain proxy in front": {trusting, false, "http, https", false},
	} {
		t.Run(name, func(t *testing.T) {
			send := func(r request) response {
				r.header = mapsWith(r.header, "X-Forwarded-Proto", tt.proto)
				req := r.http()
				if tt.tls {
					req.TLS = &tls.ConnectionState{}
				}
				return response{serve(tt.api, req), t}
			}
			s := decodeSession(send(request{method: "POST", path: "/api/session", body: `{"token":"` + adminToken + `"}`}).want(http.StatusOK))
			if s.cookie.Secure != tt.secure || strings.HasPrefix(s.cookie.Name, "__Host-") != tt.secure {
				t.Errorf("the cookie is %s", s.cookie)
			}
			send(request{method: "GET", path: "/api/agents", header: s.header()}).want(http.StatusOK)
		})
	}
}

func mapsWith(header map[string]string, name, value string) map[string]string {
	all := map[string]string{name: value}
	for name, value := range header {
		all[name] = value
	}
	return all
}

func TestSignInsThatFail(t *testing.T) {
	t.Parallel()
	results := map[string]int{}
	now := time.Now()
	a := newAPI(t, func(o *Options) {
		o.SignIns = func(result string) { results[result]++ }
		o.Now = func() time.Time { return now } // no limit recovers
	})
	agent := a.enroll(t, "a1")
	post := func(body string, header map[string]string) response {
		return a.send(t, request{method: "POST", path: "/api/session", body: body, header: header})
	}
	for _, body := range []string{`{}`, `{"token":""}`, `{"token":"","code":""}`} {
		if p := post(body, nil).want(http.StatusBadRequest).problem(); p.Field != "token" {
			t.Errorf("%s: the field is %q", body, p.Field)
		}
	}
	post(`{"token":"a","code":"b"}`, nil).want(http.StatusBadRequest)
	post(`{"token":"`+strings.Repeat("x", 1025)+`"}`, nil).want(http.StatusBadRequest)
	post(`{"token":"`+strings.Repeat("x", 17_000)+`"}`, nil).want(http.StatusRequestEntityTooLarge)
	post(`{"token":"`+adminToken+`"}`, map[string]string{"Sec-Fetch-Site": "cross-site"}).wantCode(http.StatusForbidden, "cross_site")
	post(`{"token":"`+adminToken+`"}`, map[string]string{"Origin": "https://evil.test"}).wantCode(http.StatusForbidden, "cross_site")

	for _, token := range []string{agent, ingestToken, enrollmentToken} {
		post(`{"token":"`+token+`"}`, nil).wantCode(http.StatusForbidden, "forbidden")
	}
	for range 6 {
		post(`{"token":"wrong"}`, nil).wantCode(http.StatusUnauthorized, "token_unknown")
	}
	post(`{"code":"wrong"}`, nil).wantCode(http.StatusUnauthorized, "code_unknown")
	for range 5 {
		got := post(`{"token":"wrong"}`, nil)
		got.wantCode(http.StatusTooManyRequests, "rate_limited")
		if got.Header().Get("Retry-After") == "" {
			t.Error("there is no Retry-After")
		}
	}
	a.signIn(t, adminToken) // strangers cannot keep a known caller out
	elsewhere := request{method: "POST", path: "/api/session", body: `{"token":"wrong"}`}.http()
	elsewhere.RemoteAddr = "192.0.2.2:1234"
	if got := serve(a, elsewhere); got.Code != http.StatusUnauthorized {
		t.Errorf("another address got %d", got.Code)
	}
	if results["ok"] != 1 || results["refused"] != 11 || results["limited"] != 5 || results["cross_site"] != 2 {
		t.Errorf("counted %v", results)
	}
}

func TestSignInCodes(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	code, err := a.options.SignInCodes.Issue(fleet.HashToken(adminToken))
	if err != nil {
		t.Fatal(err)
	}
	body := encode(t, map[string]string{"code": code})
	s := decodeSession(a.send(t, request{method: "POST", path: "/api/session", body: body}).want(http.StatusOK))
	a.send(t, request{method: "GET", path: "/api/agents", header: s.header()}).want(http.StatusOK)
	a.send(t, request{method: "POST", path: "/api/session", body: body}).wantCode(http.StatusUnauthorized, "code_unknown")
	if strings.Contains(a.log.String(), code) {
		t.Error("the code is in the log")
	}
	none := newAPI(t, func(o *Options) { o.SignInCodes = nil })
	none.send(t, request{method: "POST", path: "/api/session", body: body}).wantCode(http.StatusUnauthorized, "code_unknown")
}
