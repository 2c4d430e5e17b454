package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/connections"
)

// Options configures a Server. All fields are required unless noted otherwise.
type Options struct {
	Agents       Agents
	Deployments  Deployments
	Measurements Measurements
	Reports      Reports
	Ledger       Ledger
	Executions   Executions
	Traces       Traces
	LogRecords   Traces // for exports of logs
	Gateway      Gateway
	Database     Database
	// Pseudonym returns the pseudonym that is stored instead of a user's id. If nil, ids are stored unchanged. If set,
	// logs contain no user ids.
	Pseudonym func(userID string) string
	Mailbox   *mailbox.Mailbox
	Limiter   *ratelimit.Limiter // nil for no rate limits
	Accounts  ServiceAccounts    // if nil, only administrators create reports
	// UnreadCount, if not nil, is called for each token count with an unknown name. A client chooses the name.
	UnreadCount func(name string)
	// Strains, if not nil, returns why the replica is degraded, in addition to what the server itself observes.
	Strains func() []string

	Recorder *metrics.Recorder
	Requests *logging.RequestLogger
	Security *logging.SecurityLog
	Log      *zap.Logger

	TrafficSeries TrafficSeries
	Events        Events
	// PriceOf, if not nil, returns the price of an execution in the price list in force.
	PriceOf func(*execution.Execution) (execution.AppliedPrice, bool)

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
	BodyMemory, AnswerMemory int64

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
	agents        Agents
	deployments   Deployments
	measurements  Measurements
	reports       Reports
	ledger        Ledger
	executions    Executions
	traces        Traces
	logRecords    Traces
	unreadCount   func(string)
	gateway       Gateway
	pseudonym     func(string) string // may be nil
	database      Database
	currency      DisplayCurrency
	trafficSeries TrafficSeries
	events        Events
	priceOf       func(*execution.Execution) (execution.AppliedPrice, bool) // may be nil
	mailbox       *mailbox.Mailbox
	limits        *ratelimit.Limiter // may be nil
	accounts      ServiceAccounts    // may be nil
	strains       func() []string    // may be nil

	recorder *metrics.Recorder
	requests *logging.RequestLogger
	security *logging.SecurityLog
	log      *zap.Logger
	proxies  connections.TrustedProxies

	adminTokens  tokens
	ingestTokens tokens
	grants       Grants

	maxPollWait           time.Duration
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
	reads      *pendingReads
	bodies     *budget // of request bodies
	answers    *budget // of large responses
	drains     *drains
	adminReads gate           // see route.isRead
	metering   gate           // for administrators' metrics and costs
	unknown    *waitingTokens // tokens of no known agent
	open       *openMetrics   // for callers without a valid token
	tokened    *openMetrics   // for known callers that are not administrators
	turns      *turns         // of agents at the database
	reporting  gate           // for creating reports
	exporting  gate           // for exports of executions
	openAPI    document

	eventWithin time.Duration // see stream
	streaming   context.Context
	endStreams  context.CancelFunc
	leaving     atomic.Bool // see CloseConnections
}

// CloseConnections makes every response from now on close its connection, so that the client sends its next request to
// another replica. A replica calls it before it shuts down, since a request that arrives while an idle connection is
// being closed would fail.
func (s *Server) CloseConnections() { s.leaving.Store(true) }

// endpoint is a route as it is served.
type endpoint struct {
	route
	record *metrics.Route
	read   bool // see isRead
}

// New returns a Server. It fails only if Random does.
func New(opts Options) (*Server, error) {
	var start [6]byte
	if _, err := io.ReadFull(opts.Random, start[:]); err != nil {
		return nil, fmt.Errorf("draw the start of request ids: %w", err)
	}
	s := &Server{
		agents: opts.Agents, deployments: opts.Deployments, measurements: opts.Measurements, reports: opts.Reports,
		ledger: opts.Ledger, executions: opts.Executions, traces: opts.Traces, logRecords: opts.LogRecords, unreadCount: opts.UnreadCount,
		gateway: opts.Gateway, pseudonym: opts.Pseudonym, currency: opts.Currency, priceOf: opts.PriceOf, trafficSeries: opts.TrafficSeries, events: opts.Events, exporting: newGate(maxExports),
		database: opts.Database, mailbox: opts.Mailbox, limits: opts.Limiter, accounts: opts.Accounts, strains: opts.Strains,
		recorder: opts.Recorder, requests: opts.Requests, security: opts.Security, log: opts.Log, proxies: opts.TrustedProxies,
		adminTokens: parseTokens(opts.AdminTokens), ingestTokens: parseTokens(opts.IngestTokens), grants: opts.Grants,
		maxPollWait: opts.MaxPollWait, noAdminTokenParameter: opts.NoAdminTokenParameter,
		version: opts.Version, now: opts.Now, random: opts.Random, jitter: opts.Jitter,
		started: opts.Now(), idStart: hex.EncodeToString(start[:]) + "-",
		bodies: newBudget(orDefault(opts.BodyMemory, DefaultBodyMemory)), answers: newBudget(orDefault(opts.AnswerMemory, DefaultAnswerMemory)),
		drains: newDrains(), adminReads: newGate(poolShare(opts.Database.Pool().Max)), metering: newGate(maxComputations), reporting: newGate(maxComputations), unknown: newWaitingTokens(maxUnknownTokens),
		open: newOpenMetrics(), tokened: newOpenMetrics(), turns: newTurns(), openAPI: newDocument(),
		eventWithin: eventWithin,
		reads:       newPendingReads(opts.Deployments.Pending, poolShare(opts.Database.Pool().Max)),
	}
	s.streaming, s.endStreams = context.WithCancel(context.Background())
	s.ready = s.readyWhenFilled
	for _, r := range routes {
		s.root.add(r.pattern).handle(r.method, &endpoint{r, s.recorder.Route(r.method, r.pattern), r.isRead()})
	}
	return s, nil
}

// Header values, shared by all responses and never written to. They are slices, as in http.Header.
var (
	noSniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	noReferrer = []string{"no-referrer"} // see exchange.hideReferrer
	closing    = []string{"close"}
)

// ServeHTTP implements http.Handler. It shows the steps of a request in order.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, r: r, start: s.now(), requestID: s.requestID(r), now: s.now, leaving: &s.leaving, answers: s.answers}
	x.idHeader[0] = x.requestID
	header := w.Header()
	header["X-Request-Id"] = x.idHeader[:]
	header["X-Content-Type-Options"] = noSniff
	header["Cache-Control"] = noStore
	if x.conn = connections.Of(r.Context()); x.conn.TooOld(x.start) {
		header["Connection"] = closing
	}
	defer s.finish(x)
	s.serve(x)
	if x.lingers {
		s.drains.drain(x)
	}
}

func (s *Server) serve(x *exchange) {
	place, param := s.root.find(x.r.URL.EscapedPath())
	if place == nil {
		s.identify(x)
		x.hideReferrer()
		s.fail(x, errNoPath)
		return
	}
	e := place.endpoint(x.r.Method)
	if e == nil {
		s.identify(x)
		x.hideReferrer()
		x.Header().Set("Allow", place.allow)
		s.fail(x, newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "", "this path answers %s", place.allow))
		return
	}
	x.route, x.pattern, x.param, x.exporter = e.record, e.pattern, param, e.access == exporter
	var err error
	x.caller, err = s.authorize(x, e.access)
	if x.caller.agent.ID() == "" { // agents are not browsers, and get most responses
		x.hideReferrer()
	}
	if x.audience == observe.Known && !x.conn.IsAuthenticated() {
		x.conn.Authenticate(s.holderOf(x.r))
	}
	if err == nil {
		if x.r.ContentLength != 0 || x.r.Method != http.MethodGet {
			x.body = s.openBody(x)
			defer x.body.release()
		}
		err = s.serveInTurn(x, e)
	}
	if err != nil {
		s.fail(x, err)
	}
}

// serveInTurn serves an endpoint, limiting concurrent reads.
func (s *Server) serveInTurn(x *exchange, e *endpoint) error {
	if !e.read || x.audience != observe.Known || e.access == everyone && !x.caller.admin { // others have separate gates
		return e.serve(s, x)
	}
	if err := s.enterReads(x); err != nil {
		return err
	}
	defer s.adminReads.leave()
	return e.serve(s, x)
}

var errNoPath = newProblem(http.StatusNotFound, "not_found", "", "there is nothing at this path")

// finish records and logs the exchange, whatever its outcome. A panic is handled like any other defect.
func (s *Server) finish(x *exchange) {
	if cause := recover(); cause != nil {
		s.recovered(x, cause)
	}
	if x.ready.IsZero() {
		x.ready = s.now()
	}
	took := x.ready.Sub(x.start) - x.held
	if x.body != nil {
		took = max(took-x.body.waited, 0)
	}
	status := x.outcome()
	if x.route == nil {
		x.route, x.pattern = s.recorder.Unmatched(x.r.Method), metrics.UnmatchedRoute
	}
	s.observe(x, status, took)
	remote := s.proxies.Client(x.r)
	line := logging.RequestLine{
		Method: x.r.Method, Route: x.pattern, Path: s.loggedPath(x), Status: status, Duration: took,
		BytesIn: x.bytesIn, BytesOut: x.bytesOut, RequestID: x.requestID, Remote: remote, Idle: x.idle,
		AgentID: x.caller.agent.ID(), Unauthenticated: x.audience != observe.Known,
	}
	if x.caller.account != nil {
		line.ServiceAccount = x.caller.account.String()
	}
	s.requests.Log(line)
	if line.Unauthenticated && status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		s.security.Refused(remote, status)
	}
	if x.abandoned {
		panic(http.ErrAbortHandler)
	}
}

// observe counts the exchange. Exchanges of callers that are not known are counted separately.
func (s *Server) observe(x *exchange, status int, took time.Duration) {
	if x.audience != observe.Known {
		x.route.ObserveOther(x.audience, status)
		return
	}
	x.route.Observe(status, took, x.bytesIn, x.bytesOut)
	if x.pattern == report.PendingRoute {
		s.recordPoll(x, status)
	}
}

func (s *Server) recovered(x *exchange, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		x.abandon()
		return
	}
	s.log.Error("panic", x.describe(zap.String("panic", fmt.Sprint(cause)), zap.Stack("stack"))...) // the log redacts tokens
	if x.status != 0 {
		x.abandon() // a partial response must not look complete
		return
	}
	s.writeProblem(x, errInternal)
}

// requestID returns the client's id of its request if it is valid, or generates one.
func (s *Server) requestID(r *http.Request) string {
	if given := r.Header["X-Request-Id"]; len(given) == 1 && isRequestID(given[0]) {
		return given[0]
	}
	var buffer [32]byte
	id := append(buffer[:0], s.idStart...)
	return string(strconv.AppendUint(id, s.idCount.Add(1), 36))
}

func isRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}
