package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/otlp"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/enrollment"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/live"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/session"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

const (
	adminToken      = "the-admin's"
	enrollmentToken = "the-enroller's"
	ingestToken     = "the-ingester's"
)

// api is a Server with a separate database and a running mailbox.
type api struct {
	t   testing.TB
	url string // of the database
	db  *postgres.DB
	*Server
	options Options
	log     *syncBuffer

	rows    *postgres.Executions
	gateway *fakeGateway
}

// keepExecutions is the retention of executions in tests.
const keepExecutions = 30 * execution.DayWide

// newAPI returns a new api. change, if not nil, may change the options.
func newAPI(t testing.TB, change func(*Options)) *api {
	t.Helper()
	url := postgrestest.NewDatabase(t)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)

	a := &api{t: t, url: url, db: db, log: &syncBuffer{}, gateway: &fakeGateway{}}
	logs, err := logging.New(logging.Options{Stdout: a.log, Stderr: t.Output(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = logs.Close() })
	a.log.sync = logs.Sync
	box := mailbox.New(mailbox.Options{Source: postgres.NewMailbox(db), Log: logs.App, Now: time.Now})
	run(t, box.Run)
	if err := box.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.rows = postgres.NewExecutions(db, postgres.ExecutionRetention{
		Executions: keepExecutions, Minutes: keepExecutions, Quarters: keepExecutions, Hours: keepExecutions, Days: keepExecutions,
	}, time.Now)
	book := ledger.New(ledger.Options{
		Store: a.rows, Prices: prices.Default, Keep: keepExecutions, Observer: noObserver{}, Log: logs.App, Now: time.Now,
		MaxRows: ledger.DefaultRows, MaxBytes: ledger.DefaultBytes,
	})
	run(t, book.Run)
	backoff := fleet.ExponentialBackoff(time.Millisecond, time.Millisecond, mathrand.Float64)
	viewers := hub(t)
	a.options = Options{
		Agents:       postgres.NewAgents(db, box.Changed),
		Deployments:  postgres.NewDeployments(db, backoff, func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, box.Changed),
		Measurements: postgres.NewRollups(db), TrafficSeries: postgres.NewRollups(db), Events: postgres.NewEvents(db), Alerts: fakeAlerts{}, Replicas: postgres.NewReplicas(db), Replica: "this", DatabaseUsage: db, Prices: prices.Default, Reports: postgres.NewReports(db), Database: db, Mailbox: box,
		Ledger: book, Executions: a.rows, Traces: otlp.New(otlp.Options{Ledger: book, Log: logs.App}), Gateway: a.gateway,
		LogRecords: otlp.NewLogs(postgres.NewContents(db, execution.PayloadPolicy{}), otlp.Options{Log: logs.App}),
		Recorder:   metrics.NewRecorder(prometheus.NewRegistry(), time.Now()), Requests: logging.NewRequestLogger(logs, time.Now),
		Security: logging.NewSecurityLog(logs, time.Now),
		Log:      logs.App, AdminTokens: "an older one, " + adminToken, Grants: grants(t, enrollmentToken), IngestTokens: "another, " + ingestToken,
		Sessions: session.New(session.Options{Store: postgres.NewSessions(db), Now: time.Now, Random: rand.Reader, Ended: viewers.Wake}),
		Live:     viewers, LiveEnds: func(string) {},
		SignInCodes: session.NewCodes(time.Now, rand.Reader), SignIns: func(string) {},
		MaxPollWait: MaxWait, Version: "test", Now: time.Now, Random: rand.Reader, Jitter: mathrand.Float64,
	}
	if change != nil {
		change(&a.options)
	}
	if a.Server, err = New(a.options); err != nil {
		t.Fatal(err)
	}
	return a
}

// run calls do in a goroutine and cancels its context at the end of the test.
func run(t testing.TB, do func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := do(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
}

// syncBuffer is a buffer for the log. String returns all lines logged before the call.
type syncBuffer struct {
	sync   func()
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	if b.sync != nil {
		b.sync()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// request is a request of a test. The path may include a query.
type request struct {
	method, path string
	token        string            // bearer; "-" sends none
	body         string            // as JSON unless contentType says otherwise
	contentType  string            // "-" sends none
	header       map[string]string // additional headers
}

func (r request) http() *http.Request {
	var body io.Reader
	if r.body != "" || r.contentType != "" {
		body = strings.NewReader(r.body)
	}
	req := httptest.NewRequest(r.method, r.path, body)
	req.RequestURI = r.path
	switch {
	case r.contentType == "-":
	case r.contentType != "":
		req.Header.Set("Content-Type", r.contentType)
	case r.body != "":
		req.Header.Set("Content-Type", "application/json")
	}
	if r.token != "-" && r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	return req
}

// response is a response that was checked against the OpenAPI document.
type response struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// send sends a request and checks the response's status, headers and body against the OpenAPI document. It fails the
// test if the status is 500.
func (a *api) send(t testing.TB, r request) response {
	t.Helper()
	req := r.http()
	recorder := httptest.NewRecorder()
	a.ServeHTTP(recorder, req)
	answer := response{recorder, t}
	if recorder.Code == http.StatusInternalServerError {
		t.Fatalf("%s %s: 500\n%s\n%s", r.method, problem.Clip(r.path), recorder.Body, a.log)
	}
	if recorder.Code >= http.StatusBadRequest && r.method != http.MethodHead && !strings.HasPrefix(r.path, "/api/health") &&
		recorder.Code != http.StatusUnprocessableEntity && !isExport(r) {
		answer.problem()
	}
	a.checkContract(t, req, recorder)
	return answer
}

// isExport reports whether a request's errors have the format of OpenTelemetry's protocol.
func isExport(r request) bool {
	return r.method == http.MethodPost && strings.HasPrefix(r.path, "/v1/")
}

// serve sends a request without checking the response against the OpenAPI document.
func serve(handler http.Handler, req *http.Request) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	return recorder
}

// want fails the test unless the response has the status.
func (r response) want(status int) response {
	r.t.Helper()
	if r.Code != status {
		r.t.Fatalf("got %d, want %d\n%s", r.Code, status, problem.Clip(r.Body.String()))
	}
	return r
}

// decode decodes the response's body into the value that into points to.
func (r response) decode(into any) {
	r.t.Helper()
	if err := json.Unmarshal(r.Body.Bytes(), into); err != nil {
		r.t.Fatalf("decode %s: %v", r.Body, err)
	}
}

func (r response) problem() openapi.Problem {
	r.t.Helper()
	if got := r.Header().Get("Content-Type"); got != "application/problem+json" {
		r.t.Fatalf("%d has content type %q, not a problem's", r.Code, got)
	}
	var p openapi.Problem
	r.decode(&p)
	if int(p.Status) != r.Code || p.Code == "" || p.Title == "" || p.Detail == "" || p.Type == "" {
		r.t.Fatalf("%d: incomplete problem %+v", r.Code, p)
	}
	return p
}

var contract = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Spec)
	if err != nil {
		panic(err)
	}
	return doc
})

// undocumented are the statuses that any path may return even if the document does not list them.
var undocumented = map[int]bool{
	http.StatusNotFound: true, http.StatusMethodNotAllowed: true, http.StatusRequestTimeout: true,
}

func (a *api) checkContract(t testing.TB, req *http.Request, got *httptest.ResponseRecorder) {
	t.Helper()
	doc := contract()
	place, _ := a.root.find(req.URL.EscapedPath())
	if place == nil || place.endpoint(req.Method) == nil || req.Method == http.MethodHead {
		return
	}
	e := place.endpoint(req.Method)
	item := doc.Paths.Value(e.Pattern)
	if item == nil || item.GetOperation(e.Method) == nil {
		t.Fatalf("%s %s is not in the document", e.Method, e.Pattern)
	}
	if undocumented[got.Code] && item.GetOperation(e.Method).Responses.Status(got.Code) == nil {
		return
	}
	mediaType := got.Header().Get("Content-Type")
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: req,
			Route:   &routers.Route{Spec: doc, Path: e.Pattern, PathItem: item, Method: e.Method, Operation: item.GetOperation(e.Method)},
		},
		Status: got.Code, Header: got.Header(),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true,
			ExcludeResponseBody: (!strings.HasSuffix(mediaType, "json") || strings.HasSuffix(mediaType, "ndjson")) && !strings.HasPrefix(mediaType, "text/plain"),
		},
	}
	input.SetBodyBytes(got.Body.Bytes())
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		t.Errorf("%s %s: the answer %d breaks the contract: %v\n%s", e.Method, e.Pattern, got.Code, err, problem.Clip(got.Body.String()))
	}
}

// enroll enrolls an agent and returns its token.
func (a *api) enroll(t testing.TB, id string, labels ...string) string {
	t.Helper()
	body := map[string]any{"id": id, "name": id, "labels": map[string]string{}}
	for i := 0; i+1 < len(labels); i += 2 {
		body["labels"].(map[string]string)[labels[i]] = labels[i+1]
	}
	var agent openapi.EnrolledAgent
	a.send(t, request{method: "POST", path: "/api/agents", token: enrollmentToken, body: encode(t, body)}).want(http.StatusCreated).decode(&agent)
	return agent.Token
}

// deploy creates a deployment for each agent.
func (a *api) deploy(t testing.TB, agents ...string) openapi.CreatedDeployments {
	t.Helper()
	var created openapi.CreatedDeployments
	body := encode(t, map[string]any{"agent_ids": agents, "name": "app", "spec": map[string]any{"image": "app:1"}})
	a.send(t, request{method: "POST", path: "/api/deployments", token: adminToken, body: body}).want(http.StatusCreated).decode(&created)
	return created
}

// stored returns the number of stored executions.
func (a *api) stored(t testing.TB) int {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var n int
	_, err = conn.Exec(context.Background(), "SET ROLE watchbill_admin")
	if err == nil {
		err = conn.QueryRow(context.Background(), "SELECT count(*) FROM agent_executions").Scan(&n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// of returns a user's executions, newest first.
func (a *api) of(t testing.TB, userID string) []execution.Execution {
	t.Helper()
	rows, err := a.rows.UserActivity(t.Context(), userID, execution.Position{}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func encode(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// grants returns the grants of comma-separated enrollment tokens.
func grants(t testing.TB, tokens string) Grants {
	t.Helper()
	g, err := enrollment.Open(enrollment.Options{Tokens: tokens})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func hub(t testing.TB) *live.Hub {
	t.Helper()
	h, err := live.NewHub(live.MaxViewers, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
