package server

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/executions"
	"github.com/watchbill/watchbill/internal/server/fleet"
	"github.com/watchbill/watchbill/internal/server/ingest"
	"github.com/watchbill/watchbill/internal/server/live"
	"github.com/watchbill/watchbill/internal/server/operations"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/server/reports"
	"github.com/watchbill/watchbill/internal/server/sessions"
	"github.com/watchbill/watchbill/internal/server/traffic"
	"github.com/watchbill/watchbill/internal/session"
)

// The default limits of the memory for request bodies and for large responses, in bytes.
const (
	DefaultBodyMemory     int64 = 256 << 20
	DefaultResponseMemory int64 = 64 << 20
)

// MaxWait is the longest ?wait= of a poll that is accepted. Options.MaxPollWait may limit the time further.
const MaxWait = fleet.MaxWait

// maxComputations is the maximum number of administrators' metrics and costs that are computed at once; others wait. A
// year of rollups is many rows.
const maxComputations = 2

// DisplayCurrency is a currency in which costs are shown in addition to USD.
type DisplayCurrency = executions.DisplayCurrency

// Options configures a Server. All fields are required unless noted otherwise.
type Options struct {
	Agents       fleet.Agents
	Deployments  fleet.Deployments
	Measurements reports.Measurements
	Reports      reports.Reports
	Ledger       ingest.Ledger
	Executions   executions.Store
	Traces       ingest.Exports
	LogRecords   ingest.Exports // for exports of logs
	Gateway      ingest.Gateway
	Database     Database
	// Pseudonym returns the pseudonym that is stored instead of a user's id. If nil, ids are stored unchanged. If set,
	// logs contain no user ids.
	Pseudonym func(userID string) string
	Mailbox   *mailbox.Mailbox
	Limiter   *ratelimit.Limiter // nil for no rate limits
	Accounts  ServiceAccounts    // if nil, only administrators create reports
	Sessions  *session.Sessions
	// SignInCodes are codes that may be exchanged for a session. It may be nil.
	SignInCodes *session.Codes
	// Live has the events of live streams. The server does not close it.
	Live     *live.Hub
	LiveEnds func(reason string) // counts the end of a live stream by one of live.Ends
	// SignIns counts a sign-in by one of sessions.Results.
	SignIns func(result string)
	// UnreadCount, if not nil, is called with the name of each token count in a request that is not a known one. Clients
	// choose these names, so the function must limit how many it keeps.
	UnreadCount   func(name string)
	TrafficSeries traffic.Series
	Events        traffic.Events
	Alerts        operations.Alerts
	Replicas      operations.Replicas
	Replica       string // the name of this replica
	DatabaseUsage operations.Database
	// PriceOf, if not nil, returns the price of an execution in the price list in force.
	PriceOf func(*execution.Execution) (price execution.AppliedPrice, ok bool)
	Prices  func() *prices.List // returns the prices in force
	// Strains, if not nil, returns why the replica is degraded, in addition to what the server itself observes.
	Strains func() []string

	Recorder *metrics.Recorder
	Requests *logging.RequestLogger
	Security *logging.SecurityLog
	Log      *zap.Logger

	// Currency is a currency in which costs are shown in addition to USD. The zero value means none.
	Currency DisplayCurrency

	// TrustedProxies are the proxies whose X-Forwarded-For is trusted.
	TrustedProxies connections.TrustedProxies

	// AdminTokens and IngestTokens are comma-separated lists, so that tokens can be rotated. If one is empty, its
	// routes are closed; see Server.Closed.
	AdminTokens  string
	IngestTokens string
	Grants       Grants // of the enrollment tokens

	// BodyMemory and AnswerMemory limit the bytes of request bodies, and of large responses, that are in memory at a
	// time. They default to DefaultBodyMemory and DefaultAnswerMemory.
	BodyMemory, ResponseMemory int64

	// MaxPollWait is the longest time that a poll is held, whatever ?wait= requests. If 0, polls are not held.
	MaxPollWait time.Duration
	// NoAdminTokenParameter turns off the admin token in the query, ?admin_token=.
	NoAdminTokenParameter bool

	Version string
	Now     func() time.Time
	Random  io.Reader      // for tokens and ids, cryptographically strong
	Jitter  func() float64 // draws from [0, 1); need not be strong
}

// Server is the http.Handler of the REST API. connections.NewHTTPServer returns an HTTP server for it.
type Server struct {
	shared     *endpoint.Shared
	fleet      *fleet.API
	ingest     *ingest.API
	executions *executions.API
	reports    *reports.API
	sessions   *sessions.API
	live       *live.API
	traffic    *traffic.API
	operations *operations.API
	// refuseExport encodes the response to an export that is rejected.
	refuseExport func(header http.Header, status int, message string) (mediaType string, response []byte)

	database Database
	mailbox  *mailbox.Mailbox
	accounts ServiceAccounts // may be nil
	strains  func() []string // may be nil

	recorder *metrics.Recorder
	requests *logging.RequestLogger
	log      *zap.Logger
	proxies  connections.TrustedProxies

	adminTokens  tokens
	ingestTokens tokens
	grants       Grants

	noAdminTokenParameter bool

	ready   func() error
	version string
	now     func() time.Time
	random  io.Reader
	jitter  func() float64

	started    time.Time
	root       node
	idStart    string // prefix of generated request ids
	idCount    atomic.Uint64
	pings      pinger
	drains     *drains
	adminReads endpoint.Gate  // see isRead
	unknown    *waitingTokens // tokens of no known agent
	openAPI    document
}

// CloseConnections makes every response from now on close its connection, so that the client sends its next request to
// another replica. A replica calls it before it shuts down, since a request that arrives while an idle connection is
// being closed would fail.
func (s *Server) CloseConnections() { s.shared.Leaving.Store(true) }

// mounted is a route as it is served.
type mounted struct {
	endpoint.Route
	record *metrics.Route
	read   bool // see isRead
}

// New returns a Server. It fails only if Random does.
func New(opts Options) (*Server, error) {
	var start [6]byte
	if _, err := io.ReadFull(opts.Random, start[:]); err != nil {
		return nil, fmt.Errorf("draw the start of request ids: %w", err)
	}
	computing := endpoint.NewGate(maxComputations)
	s := &Server{
		shared: &endpoint.Shared{
			Now: opts.Now, Jitter: opts.Jitter, Limiter: opts.Limiter, Turns: endpoint.NewTurns(),
			Bodies:    endpoint.NewBudget(cmp.Or(opts.BodyMemory, DefaultBodyMemory)),
			Responses: endpoint.NewBudget(cmp.Or(opts.ResponseMemory, DefaultResponseMemory)),
			Security:  opts.Security, Address: opts.TrustedProxies.Client, Pseudonym: opts.Pseudonym,
		},

		fleet: fleet.New(fleet.Options{
			Agents: opts.Agents, Deployments: opts.Deployments, Mailbox: opts.Mailbox, Recorder: opts.Recorder,
			MaxPollWait: opts.MaxPollWait, MaxReads: poolShare(opts.Database.Pool().Max),
			Log: opts.Log, Now: opts.Now, Random: opts.Random, Jitter: opts.Jitter,
		}),
		executions: executions.New(executions.Options{
			Store: opts.Executions, Currency: opts.Currency, Computing: computing, Now: opts.Now, PriceOf: opts.PriceOf, Prices: opts.Prices,
		}),
		reports: reports.New(reports.Options{
			Measurements: opts.Measurements, Reports: opts.Reports, Permissions: opts.Accounts, Currency: opts.Currency.OfReport,
			Now: opts.Now, Random: opts.Random,
		}),
		sessions: sessions.New(sessions.Options{
			Sessions: opts.Sessions, Codes: opts.SignInCodes, AdminTokens: parseTokens(opts.AdminTokens), IsSecure: opts.TrustedProxies.IsSecure,
			Observe: opts.SignIns, Now: opts.Now,
		}),
		live: live.New(live.Options{
			Hub: opts.Live, IsOver: opts.Sessions.IsOver, Observe: opts.LiveEnds, Now: opts.Now, Jitter: opts.Jitter,
		}),
		traffic:    traffic.New(traffic.Options{Measurements: opts.Measurements, Series: opts.TrafficSeries, Events: opts.Events, Computing: computing, Now: opts.Now}),
		operations: operations.New(operations.Options{Alerts: opts.Alerts, Replicas: opts.Replicas, Replica: opts.Replica, Database: opts.DatabaseUsage, Now: opts.Now}),
		ingest: ingest.New(ingest.Options{
			Ledger: opts.Ledger, Traces: opts.Traces, LogRecords: opts.LogRecords, Gateway: opts.Gateway, UnreadCount: opts.UnreadCount,
			Log: opts.Log, Now: opts.Now, Random: opts.Random,
		}),
		refuseExport: opts.Traces.Refuse,
		database:     opts.Database, mailbox: opts.Mailbox, accounts: opts.Accounts, strains: opts.Strains,
		recorder: opts.Recorder, requests: opts.Requests, log: opts.Log, proxies: opts.TrustedProxies,
		adminTokens: parseTokens(opts.AdminTokens), ingestTokens: parseTokens(opts.IngestTokens), grants: opts.Grants,
		noAdminTokenParameter: opts.NoAdminTokenParameter,
		version:               opts.Version, now: opts.Now, random: opts.Random, jitter: opts.Jitter,
		started: opts.Now(), idStart: hex.EncodeToString(start[:]) + "-",
		drains: newDrains(), adminReads: endpoint.NewGate(poolShare(opts.Database.Pool().Max)),
		unknown: newWaitingTokens(maxUnknownTokens),
		openAPI: newDocument(),
	}
	s.ready = s.readyWhenFilled
	s.sessions.IsToken = s.isToken
	s.executions.EnterRead = func(x *endpoint.Exchange) (func(), error) { return s.adminReads.Leave, s.enterReads(x) }
	for _, r := range s.routes() {
		s.root.add(r.Pattern).handle(r.Method, &mounted{r, s.recorder.Route(r.Method, r.Pattern), isRead(r)})
	}
	return s, nil
}

// Header values, shared by all responses and never written to. They are slices, as in http.Header.
var (
	noSniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	noReferrer = []string{"no-referrer"} // see hideReferrer
	closing    = []string{"close"}
)

// ServeHTTP implements http.Handler. It shows the steps of a request in order.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &endpoint.Exchange{ResponseWriter: w, Request: r, Shared: s.shared, Start: s.now(), RequestID: s.requestID(r)}
	x.IDHeader[0] = x.RequestID
	header := w.Header()
	header["X-Request-Id"] = x.IDHeader[:]
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noStore
	if x.Conn = connections.Of(r.Context()); x.Conn.TooOld(x.Start) {
		header["Connection"] = closing
	}
	defer s.finish(x)
	s.serve(x)
	if x.Lingers {
		s.drains.drain(x)
	}
}

// hideReferrer tells browsers not to send a page's URL, whose query may contain the admin token, as referrer.
func hideReferrer(x *endpoint.Exchange) { x.Header()["Referrer-Policy"] = noReferrer }

func (s *Server) serve(x *endpoint.Exchange) {
	place, param := s.root.find(x.Request.URL.EscapedPath())
	if place == nil {
		s.identify(x)
		hideReferrer(x)
		s.fail(x, errNoPath)
		return
	}
	e := place.endpoint(x.Request.Method)
	if e == nil {
		s.identify(x)
		hideReferrer(x)
		x.Header().Set("Allow", place.allow)
		s.fail(x, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "", "method not allowed; use %s", place.allow))
		return
	}
	x.Route, x.Pattern, x.Param, x.Exporter = e.record, e.Pattern, param, e.Access == endpoint.Exporter
	var err error
	x.Caller, err = s.authorize(x, e.Access)
	if x.Caller.Agent.ID() == "" { // agents are not browsers, and get most responses
		hideReferrer(x)
	}
	if x.Audience == observe.Known && !x.Conn.IsAuthenticated() {
		x.Conn.Authenticate(s.holderOf(x))
	}
	if err == nil {
		if x.Request.ContentLength != 0 || x.Request.Method != http.MethodGet {
			x.OpenBody()
			defer x.Body.Release()
		}
		err = s.serveInTurn(x, e)
	}
	if err != nil {
		s.fail(x, err)
	}
}

// serveInTurn serves an endpoint, limiting concurrent reads.
func (s *Server) serveInTurn(x *endpoint.Exchange, e *mounted) error {
	if !e.read || x.Audience != observe.Known || e.Access == endpoint.Everyone && !x.Caller.Admin { // others have separate gates
		return e.Serve(x)
	}
	if err := s.enterReads(x); err != nil {
		return err
	}
	defer s.adminReads.Leave()
	return e.Serve(x)
}

var errNoPath = problem.New(http.StatusNotFound, "not_found", "", "there is nothing at this path")

// finish records and logs the endpoint.Exchange, whatever its outcome. A panic is handled like any other defect.
func (s *Server) finish(x *endpoint.Exchange) {
	if cause := recover(); cause != nil {
		s.recovered(x, cause)
	}
	if x.Ready.IsZero() {
		x.Ready = s.now()
	}
	took := x.Ready.Sub(x.Start) - x.Held
	if x.Body != nil {
		took = max(took-x.Body.Waited, 0)
	}
	status := x.Outcome()
	if x.Route == nil {
		x.Route, x.Pattern = s.recorder.Unmatched(x.Request.Method), metrics.UnmatchedRoute
	}
	s.observe(x, status, took)
	remote := s.proxies.Client(x.Request)
	line := logging.RequestLine{
		Method: x.Request.Method, Route: x.Pattern, Path: s.loggedPath(x), Status: status, Duration: took,
		BytesIn: x.BytesIn, BytesOut: x.BytesOut, RequestID: x.RequestID, Remote: remote, Idle: x.Idle,
		AgentID: x.Caller.Agent.ID(), Unauthenticated: x.Audience != observe.Known,
	}
	if x.Caller.Account != nil {
		line.ServiceAccount = x.Caller.Account.String()
	}
	s.requests.Log(line)
	if line.Unauthenticated && status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		s.shared.Security.Refused(remote, status)
	}
	if x.Abandoned {
		panic(http.ErrAbortHandler)
	}
}

// observe counts the exchange. Exchanges of callers that are not known are counted separately.
func (s *Server) observe(x *endpoint.Exchange, status int, took time.Duration) {
	if x.Audience != observe.Known {
		x.Route.ObserveOther(x.Audience, status)
		return
	}
	x.Route.Observe(status, took, x.BytesIn, x.BytesOut)
	if x.Pattern == report.PendingRoute {
		s.fleet.RecordPoll(x, status)
	}
}

// pageRoute is the route of all files of the web page in metrics and log lines.
const pageRoute = "/ui/"

// ObserveFile counts and logs a response with a file of the web page. Such files need no token, and no token is looked for.
func (s *Server) ObserveFile(r *http.Request, status int, bytes int64, took time.Duration) {
	s.recorder.OpenRoute(r.Method, pageRoute).ObserveOther(observe.Unauthenticated, status)
	s.requests.Log(logging.RequestLine{
		Method: r.Method, Route: pageRoute, Path: r.URL.RequestURI(), Status: status, Duration: took, BytesOut: bytes,
		Remote: s.proxies.Client(r), Unauthenticated: true, File: true,
	})
}

func (s *Server) recovered(x *endpoint.Exchange, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		x.Abandon()
		return
	}
	s.log.Error("panic", x.Describe(zap.String("panic", fmt.Sprint(cause)), zap.Stack("stack"))...) // the log redacts tokens
	if x.Status != 0 {
		x.Abandon() // a partial response must not look complete
		return
	}
	s.writeProblem(x, problem.ErrInternal)
}
