package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// fakeAccounts is a fake cluster whose tokens are jwt.NAMESPACE.NAME.
type fakeAccounts struct {
	mu     sync.Mutex
	rights []string // "NAMESPACE/NAME verb in NAMESPACE"
	err    error    // returned by every method
	shown  []string // tokens that were sent to the cluster
}

var (
	errFakeToken = &fault.Error{Kind: fault.Forbidden, Code: "token_refused", Detail: "not a token of mine"}
	errFakeRight = &fault.Error{Kind: fault.Forbidden, Code: "forbidden", Detail: "a right is missing"}
	errFakeAway  = &fault.Error{Kind: fault.Unavailable, Code: "unavailable", Detail: "Kubernetes is unavailable"}
)

func jwt(namespace, name string) string { return "jwt." + namespace + "." + name }

func (f *fakeAccounts) Account(_ context.Context, _, token string) (namespace, name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown = append(f.shown, token)
	parts := strings.Split(token, ".")
	switch {
	case f.err != nil:
		return "", "", f.err
	case parts[0] != "jwt":
		return "", "", errFakeToken
	}
	return parts[1], parts[2], nil
}

func (f *fakeAccounts) Allow(ctx context.Context, remote, token, verb, in string) error {
	namespace, name, err := f.Account(ctx, remote, token)
	if err != nil {
		return err
	}
	if in == "" || !slices.Contains(f.rights, fmt.Sprintf("%s/%s %s in %s", namespace, name, verb, in)) {
		return errFakeRight
	}
	return nil
}

func (f *fakeAccounts) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

// withAccounts returns an API with ServiceAccounts: fleet's reporter may use its namespace's reports,
// the controller all.
func withAccounts(t *testing.T) (*api, *fakeAccounts) {
	t.Helper()
	accounts := &fakeAccounts{rights: []string{
		"fleet/reporter create in fleet", "fleet/reporter get in fleet",
		"other/reporter create in other", "other/reporter get in other",
		"system/controller get in fleet", "system/controller get in other",
		"fleet/writer create in fleet",
	}}
	return newAPI(t, func(o *Options) { o.Accounts = accounts }), accounts
}

const dailyReport = `{"name":"daily","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","sections":["summary"]}`

func (a *api) makeReport(t *testing.T, token, body string) string {
	t.Helper()
	var made openapi.Report
	a.send(t, request{method: "POST", path: "/api/reports", token: token, body: body}).want(http.StatusCreated).decode(&made)
	return made.ID
}

// reports returns the reports that a token may see.
func (a *api) reports(t *testing.T, token, query string) []openapi.ReportSummary {
	t.Helper()
	var list openapi.ReportList
	a.send(t, request{method: "GET", path: "/api/reports?" + query, token: token}).want(http.StatusOK).decode(&list)
	return list.Reports
}

func idsOf(reports []openapi.ReportSummary) []string {
	ids := make([]string, len(reports))
	for i, r := range reports {
		ids[i] = r.ID
	}
	return ids
}

func TestServiceAccountsCreateReportsInTheirNamespace(t *testing.T) {
	t.Parallel()
	a, _ := withAccounts(t)
	fleets, others, controller := jwt("fleet", "reporter"), jwt("other", "reporter"), jwt("system", "controller")
	first := a.makeReport(t, fleets, dailyReport)
	again := a.makeReport(t, fleets, dailyReport)
	other := a.makeReport(t, others, dailyReport)
	admins := []string{a.makeReport(t, adminToken, dailyReport), a.makeReport(t, adminToken, dailyReport)}

	for _, tt := range []struct {
		name, token, query string
		want               []string
	}{
		{"its own", fleets, "", []string{again}},
		{"its own, by name", fleets, "namespace=fleet&name=daily", []string{again}},
		{"none of the name", fleets, "name=weekly", nil},
		{"another's own", others, "", []string{other}},
		{"the controller", controller, "namespace=fleet", []string{again}},
		{"all", adminToken, "", []string{admins[1], admins[0], other, again}},
		{"an admin, by namespace", adminToken, "namespace=other", []string{other}},
		{"an admin, by name", adminToken, "name=daily&limit=2", []string{admins[1], admins[0]}},
	} {
		got := a.reports(t, tt.token, tt.query)
		if ids := idsOf(got); !slices.Equal(ids, tt.want) && len(ids)+len(tt.want) > 0 {
			t.Errorf("%s: got %v, want %v", tt.name, ids, tt.want)
		}
		for _, r := range got {
			if want := map[string]string{again: "fleet", other: "other"}[r.ID]; r.Namespace != want {
				t.Errorf("%s: %s is of namespace %q, want %q", tt.name, r.ID, r.Namespace, want)
			}
		}
	}
	for _, tt := range []struct {
		name, token, id string
		want            int
	}{
		{"its own", fleets, again, http.StatusOK},
		{"one that was replaced", fleets, first, http.StatusNotFound},
		{"another's", fleets, other, http.StatusNotFound},
		{"an admin's", fleets, admins[0], http.StatusNotFound},
		{"the controller's", controller, other, http.StatusOK},
		{"an admin's, for the controller", controller, admins[0], http.StatusNotFound},
		{"without the right to get", jwt("fleet", "writer"), again, http.StatusNotFound},
		{"an admin", adminToken, other, http.StatusOK},
	} {
		a.send(t, request{method: "GET", path: "/api/reports/" + tt.id + "?format=markdown", token: tt.token}).want(tt.want)
	}
	if line := `"service_account":"fleet/reporter"`; !strings.Contains(a.log.String(), line) {
		t.Errorf("no %s in the log", line)
	}
	if strings.Contains(a.log.String(), "jwt.") {
		t.Error("a token is in the log")
	}
}

func TestReportRetention(t *testing.T) {
	t.Parallel()
	a, _ := withAccounts(t)
	token := jwt("fleet", "reporter")
	daily := func(day int, more string) string {
		return a.makeReport(t, token, fmt.Sprintf(`{"name":"daily","from":"2026-01-%02dT00:00:00Z","to":"2026-01-%02dT00:00:00Z","sections":["summary"]%s}`, day, day+1, more))
	}
	var ids []string
	for day := range 4 {
		ids = slices.Insert(ids, 0, daily(day+1, ""))
	}
	last := daily(5, `,"keep":2`)
	if got, want := idsOf(a.reports(t, token, "name=daily")), []string{last, ids[0]}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, keep := range []string{"0", "1001", "-1"} {
		p := a.send(t, request{method: "POST", path: "/api/reports", token: token, body: `{"keep":` + keep + `}`}).want(http.StatusBadRequest).problem()
		if p.Field != "keep" {
			t.Errorf("keep %s: got %+v", keep, p)
		}
	}
}

func TestRejectedServiceAccounts(t *testing.T) {
	t.Parallel()
	a, accounts := withAccounts(t)
	report := a.makeReport(t, jwt("fleet", "reporter"), dailyReport)
	post := request{method: "POST", path: "/api/reports", body: dailyReport}
	list := request{method: "GET", path: "/api/reports"}
	for _, tt := range []struct {
		name, token string
		request     request
		code        string
		shown       bool // whether the token is sent to Kubernetes
	}{
		{"no token", "-", post, "forbidden", false},
		{"a wrong admin's", "wrong", post, "forbidden", false},
		{"an agent's", "wba_x", list, "forbidden", false},
		{"the ingester's", ingestToken, list, "forbidden", false},
		{"not known", "unknown.to.us", post, "token_refused", true},
		{"without the right to create", jwt("system", "controller"), post, "forbidden", true},
		{"of another namespace", jwt("fleet", "reporter"), request{method: "GET", path: "/api/reports?namespace=other"}, "forbidden", true},
		{"without the right to get", jwt("fleet", "writer"), list, "forbidden", true},
		{"elsewhere", jwt("fleet", "reporter"), request{method: "GET", path: "/api/agents"}, "forbidden", false},
		{"a bad request without the right", jwt("system", "controller"), request{method: "POST", path: "/api/reports?x=1", body: "nonsense"}, "forbidden", true},
	} {
		accounts.shown = nil
		tt.request.token = tt.token
		p := a.send(t, tt.request).want(http.StatusForbidden).problem()
		if p.Code != tt.code || len(accounts.shown) > 0 != tt.shown {
			t.Errorf("%s: got %+v, shown %d times", tt.name, p, len(accounts.shown))
		}
	}
	// A ServiceAccount's token is unknown on other endpoints.
	a.send(t, request{method: "GET", path: "/api/deployments/pending/a1", token: jwt("fleet", "reporter")}).want(http.StatusUnauthorized)

	accounts.fail(fmt.Errorf("ask: %w: %w", errFakeAway, errors.New("connection refused")))
	for _, r := range []request{post, list, {method: "GET", path: "/api/reports/" + report}} {
		r.token = jwt("fleet", "reporter")
		got := a.send(t, r).want(http.StatusServiceUnavailable)
		if p := got.problem(); got.Header().Get("Retry-After") == "" || p.Detail != errFakeAway.Detail {
			t.Errorf("%s %s: got %+v, %v", r.method, r.path, p, got.Header())
		}
	}
	a.send(t, request{method: "GET", path: "/api/reports", token: adminToken}).want(http.StatusOK)
}

// If Kubernetes becomes unavailable between the look-up of a token and the check of its permission, the response is a
// 503 and not a 404.
func TestKubernetesOutageDuringRequest(t *testing.T) {
	t.Parallel()
	accounts := &fakeAccounts{rights: []string{"fleet/reporter create in fleet"}}
	a := newAPI(t, func(o *Options) { o.Accounts = goingAway{accounts} })
	id := a.makeReport(t, adminToken, dailyReport)
	a.send(t, request{method: "GET", path: "/api/reports/" + id, token: jwt("fleet", "reporter")}).want(http.StatusServiceUnavailable)
	a.send(t, request{method: "GET", path: "/api/reports", token: jwt("fleet", "reporter")}).want(http.StatusServiceUnavailable)
}

type goingAway struct{ *fakeAccounts }

func (goingAway) Allow(context.Context, string, string, string, string) error { return errFakeAway }

// A ServiceAccount's cursor is for the list of its namespace, whether or not the request names the namespace.
func TestCursorsOfReports(t *testing.T) {
	t.Parallel()
	a, _ := withAccounts(t)
	token := jwt("fleet", "reporter")
	for _, name := range []string{"a", "b", "a", "b"} {
		a.makeReport(t, token, `{"name":"`+name+`","from":"2026-01-0`+fmt.Sprint(1+len(a.reports(t, token, "")))+`T00:00:00Z","to":"2026-02-01T00:00:00Z","sections":["summary"]}`)
	}
	next := func(token, query string) string {
		t.Helper()
		var list openapi.ReportList
		a.send(t, request{method: "GET", path: "/api/reports?limit=1&" + query, token: token}).want(http.StatusOK).decode(&list)
		if list.NextCursor == "" {
			t.Fatalf("%s: want more than one", query)
		}
		return "&cursor=" + list.NextCursor
	}
	own, named := next(token, ""), next(token, "name=a")
	for _, tt := range []struct {
		token, query string
		want         int
	}{
		{token, own, http.StatusOK},
		{token, "namespace=fleet" + own, http.StatusOK},
		{adminToken, "namespace=fleet" + own, http.StatusOK},
		{adminToken, own, http.StatusBadRequest},
		{token, "name=a" + own, http.StatusBadRequest},
		{token, "name=a" + named, http.StatusOK},
		{token, "name=b" + named, http.StatusBadRequest},
		{token, named, http.StatusBadRequest},
	} {
		a.send(t, request{method: "GET", path: "/api/reports?" + tt.query, token: tt.token}).want(tt.want)
	}
}

func TestEndpointsClosedToAdminsOnly(t *testing.T) {
	t.Parallel()
	closed := newAPI(t, func(o *Options) { o.AdminTokens, o.Accounts = "", &fakeAccounts{} }).Closed()
	if len(closed) != 1 || closed[0].Variable != "ADMIN_TOKEN" || slices.ContainsFunc(closed[0].Routes, func(r string) bool { return strings.Contains(r, "/api/reports") }) ||
		!slices.Contains(closed[0].Routes, "GET /api/agents") {
		t.Errorf("got %+v", closed)
	}
}

// A page that shows names chosen by clients must not load or run anything.
func TestPagesOfReports(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	id := a.makeReport(t, adminToken, dailyReport)
	got := a.send(t, request{method: "GET", path: "/api/reports/" + id + "?format=html", token: adminToken}).want(http.StatusOK)
	if !strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
		t.Errorf("got %v", got.Header())
	}
	_, style, _ := strings.Cut(got.Body.String(), "<style>")
	style, _, found := strings.Cut(style, "</style>")
	hash := sha256.Sum256([]byte(style))
	want := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	if policy := got.Header().Get("Content-Security-Policy"); !found || policy != want {
		t.Errorf("got the policy %q, want %q", policy, want)
	}
}

// If a series began at 1, Prometheus would see no increase and the first error would go unnoticed.
func TestErrorsOfEveryRouteAreCountedFromTheStart(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	newAPI(t, func(o *Options) { o.Recorder = metrics.NewRecorder(registry, time.Now()) })
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]bool{}
	for _, family := range families {
		if family.GetName() != "watchbill_http_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counted[labels["method"]+" "+labels["route"]+" "+labels["code"]] = m.GetCounter().GetValue() == 0
		}
	}
	for _, r := range routes {
		for _, code := range []string{"500", "503"} {
			if at := r.Method + " " + r.Pattern + " " + code; !counted[at] {
				t.Errorf("%s is not there at 0", at)
			}
		}
	}
}
