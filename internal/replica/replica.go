// Package replica assembles one API replica from its parts, runs it, and shuts it down in order. It only wires the parts.
package replica

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/alerts"
	"github.com/watchbill/watchbill/internal/execution/otlp"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/enrollment"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	kubeauth "github.com/watchbill/watchbill/internal/kube/auth"
	"github.com/watchbill/watchbill/internal/live"
	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/page"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server"
	"github.com/watchbill/watchbill/internal/server/connections"
	livestreams "github.com/watchbill/watchbill/internal/server/live"
	"github.com/watchbill/watchbill/internal/server/sessions"
	"github.com/watchbill/watchbill/internal/session"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// Replica is one process of the service.
type Replica struct {
	config Config
	log    *zap.Logger
	now    func() time.Time

	db          *postgres.DB
	deployments *postgres.Deployments
	rollups     *postgres.Rollups
	mailbox     *mailbox.Mailbox
	hints       *postgres.Hints
	logs        *logging.Logs
	requests    *logging.RequestLogger
	security    *logging.SecurityLog
	flusher     *metrics.Flusher
	gauges      *metrics.FleetGauges
	executions  *executions
	limiter     *ratelimit.Limiter
	grants      *enrollment.Grants
	proxies     connections.TrustedProxies
	monitor     *health.Monitor
	live        *live.Hub
	feed        *live.Feed
	sessions    *session.Sessions
	codes       *session.Codes // of sign-in links
	alerts      *alerts.Reader
	replicas    *postgres.Replicas
	name        string // unique to this start
	started     time.Time
	reviewer    *kubeauth.Reviewer // nil: ServiceAccounts are not known

	leave      func() // makes clients send their next request to another replica
	endStreams func() // ends the gateway's streams
	faults     func() []string

	connections, scrapes         *connections.Limiter // of the API, of Prometheus
	api, metrics                 *http.Server
	grpc                         *http.Server // nil: OTLP over gRPC is not served
	apiListener, metricsListener net.Listener
	grpcListener                 net.Listener // may be nil
}

// New returns a replica with open listeners; Run starts it. The configuration must be valid.
func New(ctx context.Context, config Config, logs *logging.Logs, now func() time.Time) (_ *Replica, err error) {
	r := &Replica{config: config, logs: logs, log: logs.App, now: now}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	name, err := processName()
	if err != nil {
		return nil, err
	}
	registry := metrics.NewRegistry(metrics.BuildInfo{Version: config.Version, GoVersion: runtime.Version()})
	registry.MustRegister(logging.NewCollector(logs))
	queries := metrics.NewQueryObserver(registry, logs.Queries, now())
	r.db, err = postgres.Open(ctx, postgres.Config{
		URL: config.DatabaseURL, MaxConns: config.DatabaseMaxConns, Pooler: config.DatabaseDirectURL != "", Observer: queries, Now: now,
	})
	if err != nil {
		return nil, err
	}
	registry.MustRegister(metrics.NewPoolCollector(r.db.Pool))
	r.monitor = health.NewMonitor(r.log.Named("health"), now)
	checkDatabaseWrites(r.monitor, registry, r.db, now)
	recorder := metrics.NewRecorder(registry, now())
	r.requests = logging.NewRequestLogger(logs, now)
	r.security = logging.NewSecurityLog(logs, now)
	r.gauges = metrics.NewFleetGauges(registry, 4*sampleEvery, now)
	r.rollups = postgres.NewRollups(r.db)
	r.replicas, r.name, r.started = postgres.NewReplicas(r.db), name, now()
	r.flusher = metrics.NewFlusher(registry, metrics.FlusherOptions{
		Recorder: recorder, Queries: queries, Pool: r.db.Pool, Store: r.rollups, Replica: name, Log: r.log, Now: now,
	})
	r.mailbox = mailbox.New(mailbox.Options{
		Source: postgres.NewMailbox(r.db), Log: r.log.Named("mailbox"), Now: now,
		SweepInterval: config.SweepInterval, StaleGrace: config.StaleGrace,
	})
	if r.live, err = live.NewHub(live.MaxViewers, rand.Reader); err != nil {
		return nil, err
	}
	r.feed = r.newFeed(func() []string { return r.faults() })
	r.hints = postgres.NewHints(r.db, config.DirectURL(), name, r.log.Named("hints"), func() {
		r.mailbox.Kick()
		r.feed.ChangedElsewhere()
	})
	changed := func(agentIDs ...string) {
		r.mailbox.Changed(agentIDs...)
		r.hints.Send()
		r.feed.DeploymentsChanged(agentIDs...)
	}
	r.deployments = postgres.NewDeployments(r.db,
		fleet.ExponentialBackoff(config.RetryBackoff, config.RetryLimit, mathrand.Float64),
		func() uuid.UUID { return uuid.Must(uuid.NewV7()) }, changed)
	if r.executions, err = newExecutions(config.Executions, r.db, registry, r.monitor, r.log, now); err != nil {
		return nil, err
	}
	if err := r.newLimiter(registry); err != nil {
		return nil, err
	}
	if r.grants, err = config.grants(); err != nil {
		return nil, err
	}
	accounts, err := r.accounts()
	if err != nil {
		return nil, err
	}
	r.proxies, err = connections.ParseTrustedProxies(config.TrustedProxies)
	if err != nil {
		return nil, err
	}
	r.sessions = session.New(session.Options{Store: postgres.NewSessions(r.db), Now: now, Random: rand.Reader, Ended: r.live.Wake})
	r.codes = session.NewCodes(now, rand.Reader)
	r.alerts, err = alerts.New(alerts.Options{URL: config.AlertsURL, TokenFile: config.AlertsTokenFile, Now: now})
	if err != nil {
		return nil, err
	}
	bodies, responses := config.budgets(memoryLimit())
	handler, err := server.New(server.Options{
		BodyMemory: bodies, ResponseMemory: responses,
		Agents: postgres.NewAgents(r.db, changed), Deployments: observedDeployments{r.deployments, r.feed}, Reports: postgres.NewReports(r.db), Database: r.db,
		Measurements:  postgres.Measurements{Rollups: r.rollups, Executions: r.executions.store},
		TrafficSeries: r.rollups, Events: postgres.NewEvents(r.db), Alerts: r.alerts, Replicas: r.replicas, Replica: name, DatabaseUsage: r.db,
		Ledger: r.executions.ledger, Executions: r.executions.apiStore(), Gateway: r.executions.gateway,
		Pseudonym: r.executions.pseudonym(), PriceOf: r.executions.priceOf, Prices: r.executions.prices.inForce,
		Traces: otlp.New(otlp.Options{
			Ledger: r.executions.ledger, Log: r.log.Named("otlp"),
			Unread: metrics.NewUnreadSpans(registry).Observe, UnreadCount: r.executions.unreadCounts.Observe,
		}),
		LogRecords: otlp.NewLogs(r.executions.contents, otlp.Options{Log: r.log.Named("otlp")}),
		Limiter:    r.limiter, Strains: r.strains,
		Accounts: accounts, UnreadCount: r.executions.unreadCounts.Observe,
		Mailbox: r.mailbox, Recorder: recorder, Requests: r.requests, Security: r.security, Log: r.log.Named("http"),
		TrustedProxies: r.proxies,
		Live:           r.live, LiveEnds: metrics.NewLiveStreams(registry, r.live.Viewers, livestreams.Ends).Ended,
		Sessions: r.sessions, SignInCodes: r.codes, SignIns: metrics.NewSignIns(registry, sessions.Results).Observe,
		Currency:    server.DisplayCurrency{Code: r.executions.currency.code, Rates: r.executions.currency.rates},
		AdminTokens: config.AdminToken, Grants: r.grants, IngestTokens: config.IngestToken,
		MaxPollWait: config.MaxPollWait, NoAdminTokenParameter: !config.AdminTokenParameter,
		Version: config.Version, Now: now, Random: rand.Reader, Jitter: mathrand.Float64,
	})
	if err != nil {
		return nil, err
	}
	for _, closed := range handler.Closed() {
		r.log.Warn("endpoints closed: no token is set", zap.String("variable", closed.Variable), zap.Strings("endpoints", closed.Routes))
	}
	for _, weakness := range config.weaknesses() {
		r.security.Weak(weakness)
	}
	r.faults = handler.Faults
	r.leave, r.endStreams = handler.CloseConnections, func() {
		handler.EndStreams()
		r.executions.gateway.EndDrains()
	}
	web, err := page.New(handler, handler.ObserveFile, r.now)
	if err != nil {
		return nil, err
	}
	return r, r.listen(web, handler.GRPC(), registry)
}

// newLimiter creates the rate limiter, which exchanges admissions with other replicas.
func (r *Replica) newLimiter(registry *prometheus.Registry) error {
	limits, err := ratelimit.Parse(r.config.Limits)
	if err != nil {
		return err
	}
	r.limiter = ratelimit.New(ratelimit.Options{
		Limits: limits.WithDefaults(), Now: r.now, Store: postgres.NewRateLimits(r.db), Log: r.log.Named("limits"),
	})
	registry.MustRegister(metrics.NewLimitCollector(r.limiter.Sample))
	return nil
}
