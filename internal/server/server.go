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

	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/connections"
)

// Options are what a Server needs. All are required but where it says otherwise.
type Options struct {
	Agents       Agents
	Deployments  Deployments
	Measurements Measurements
	Reports      Reports
	Ledger       Ledger
	Executions   Executions
	Traces       Traces
	LogRecords   Traces // takes exports of logs
	Gateway      Gateway
	Database     Database
	// Pseudonym returns what is stored in the place of a user's id; nil: the id itself is. If it is set, logs hold no names.
	Pseudonym func(userID string) string
	Mailbox   *mailbox.Mailbox
	Limiter   *ratelimit.Limiter // nil: there are no rate limits
	Accounts  ServiceAccounts    // nil: only an admin makes reports
	// UnreadCount hears of each count of tokens whose name is not known; nil: nobody does. A client chooses the name.
	UnreadCount func(name string)
	// Strains tells why the replica is degraded, beside what the API sees for itself; nil: nothing is.
	Strains func() []string

	Recorder *metrics.Recorder
	Requests *logging.RequestLogger
	Security *logging.SecurityLog
	Log      *zap.Logger

	// Currency is what costs are shown in beside USD; the zero value: none.
	Currency DisplayCurrency

	// TrustedProxies are believed when they say, by X-Forwarded-For, whom they forward for.
	TrustedProxies connections.TrustedProxies

	// AdminTokens and IngestTokens are comma-separated: several tokens rotate. Empty closes what they open; see
	// Server.Closed.
	AdminTokens  string
	IngestTokens string
	Grants       Grants // by which agents enrol

	// BodyMemory and AnswerMemory limit the bytes of requests' bodies, and of large answers, that are held at a time. Zero
	// stands for the default.
	BodyMemory, AnswerMemory int64

	// MaxPollWait is the longest that a poll is held, whatever ?wait= asks; 0: polls are not held.
	MaxPollWait time.Duration
	// NoAdminTokenParameter turns off the admin token in the query, ?admin_token=.
	NoAdminTokenParameter bool

	Version string
	Now     func() time.Time
	Random  io.Reader      // for tokens and ids, cryptographically strong
	Jitter  func() float64 // draws from [0, 1); need not be strong
}

// Server answers the REST API. It is an http.Handler; NewHTTPServer makes the server around it.
type Server struct {
	agents       Agents
	deployments  Deployments
	measurements Measurements
	reports      Reports
	ledger       Ledger
	executions   Executions
	traces       Traces
	logRecords   Traces
	unreadCount  func(string)
	gateway      Gateway
	pseudonym    func(string) string // may be nil
	database     Database
	currency     DisplayCurrency
	mailbox      *mailbox.Mailbox
	limits       *ratelimit.Limiter // may be nil
	accounts     ServiceAccounts    // may be nil
	strains      func() []string    // may be nil

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
	idStart    string // of the request ids that are minted here
	idCount    atomic.Uint64
	pings      pinger
	reads      *pendingReads
	bodies     *budget // of requests
	answers    *budget
	drains     *drains
	adminReads gate           // see route.isRead
	metering   gate           // of metrics, for known callers
	unknown    *waitingTokens // that no agent is known by
	open       *openMetrics
	tokened    *openMetrics // for known callers that are no administrators
	turns      *turns       // of agents at the database
	reporting  gate         // of reports
	openAPI    document

	eventWithin time.Duration // see stream
	streaming   context.Context
	endStreams  context.CancelFunc
	leaving     atomic.Bool // see Leave
}

// Leave has every answer from now on close its connection, so that its client brings the next request to another replica. It
// is for a replica that shuts down: a request that comes while a kept connection is being closed would fail.
func (s *Server) CloseConnections() { s.leaving.Store(true) }

// endpoint is a route that is served.
type endpoint struct {
	route
	record *metrics.Route
	read   bool // see isRead
}

// New makes a Server. It fails only if no randomness can be had.
func New(opts Options) (*Server, error) {
	var start [6]byte
	if _, err := io.ReadFull(opts.Random, start[:]); err != nil {
		return nil, fmt.Errorf("draw the start of request ids: %w", err)
	}
	s := &Server{
		agents: opts.Agents, deployments: opts.Deployments, measurements: opts.Measurements, reports: opts.Reports,
		ledger: opts.Ledger, executions: opts.Executions, traces: opts.Traces, logRecords: opts.LogRecords, unreadCount: opts.UnreadCount,
		gateway: opts.Gateway, pseudonym: opts.Pseudonym, currency: opts.Currency,
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

// Headers that every answer has, but for noReferrer. http.Header holds slices; these are shared and never written to.
var (
	noSniff    = []string{"nosniff"}
	noStore    = []string{"no-store"}
	noReferrer = []string{"no-referrer"} // see exchange.hideReferrer
	closing    = []string{"close"}
)

// ServeHTTP implements http.Handler. Everything that a request passes on its way is here, in order.
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
	if x.caller.agent.ID() == "" { // an agent is no browser, and most answers are to agents
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

// serveInTurn serves an endpoint once it is its turn.
func (s *Server) serveInTurn(x *exchange, e *endpoint) error {
	if !e.read || x.audience != observe.Known || e.access == everyone && !x.caller.admin { // whose gates are apart
		return e.serve(s, x)
	}
	if err := s.enterReads(x); err != nil {
		return err
	}
	defer s.adminReads.leave()
	return e.serve(s, x)
}

var errNoPath = newProblem(http.StatusNotFound, "not_found", "", "there is nothing at this path")

// finish records and logs the exchange, whatever became of it. A panic is answered like any other defect.
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

// observe counts the exchange. Only those of known callers count in figures that decide anything.
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
	s.log.Error("panic", x.describe(zap.String("panic", fmt.Sprint(cause)), zap.Stack("stack"))...) // the log redacts
	if x.status != 0 {
		x.abandon() // half an answer must not look like a whole one
		return
	}
	s.writeProblem(x, errInternal)
}

// requestID takes over the client's id of its request, if it is one to be printed, or mints one.
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
