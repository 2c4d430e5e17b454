package replica

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/session"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// Intervals of background tasks.
const (
	expireEvery   = time.Second
	expireAtOnce  = 200
	expireTimeout = 10 * time.Second
	sampleEvery   = 15 * time.Second
	cleanEvery    = 10 * time.Minute
	turnTimeout   = time.Minute // deadline of a task's turn

	unauthenticatedIdle = 10 * time.Second // for connections without an authenticated request
)

func (r *Replica) listen(api, grpc http.Handler, registry *prometheus.Registry) (err error) {
	secure, err := r.tls()
	if err != nil {
		return err
	}
	opts := connections.ServerOptions{
		TLS: secure, ConnectionMaxAge: r.config.ConnectionMaxAge, Now: r.now, Jitter: mathrand.Float64, Log: r.log,
	}
	if r.api, err = connections.NewServer(api, opts); err != nil {
		return err
	}
	if r.config.GRPCListen != "" {
		opts.GRPC = true
		if secure != nil {
			opts.TLS = secure.Clone() // each server adds its protocols to it
		}
		if r.grpc, err = connections.NewServer(grpc, opts); err != nil {
			return err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(registry, r.log))
	r.metrics = &http.Server{
		Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: zap.NewStdLog(r.log.Named("metrics")), ConnState: connections.ConnState,
	}
	return r.openListeners(registry)
}

// openListeners opens the listeners, which limit their connections.
func (r *Replica) openListeners(registry *prometheus.Registry) (err error) {
	limit := r.config.MaxConnections
	if limit == 0 {
		const besidePool = 5 // connections of the database
		limit = connectionLimit(fileLimit(), memoryLimit(), r.config.DatabaseMaxConns+besidePool, r.config.Executions.AgentsFile != "")
	}
	r.connections = connections.New(connections.Limits{Max: limit, UnauthenticatedIdle: unauthenticatedIdle, Trusted: r.proxies, Now: r.now})
	r.scrapes = connections.New(connections.Limits{Max: metricsFiles, Now: r.now})
	registry.MustRegister(metrics.NewConnectionCollector(r.connections.Sample))
	api, err := net.Listen("tcp", r.config.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	r.apiListener = r.connections.Listener(api)
	metrics, err := net.Listen("tcp", r.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("listen for Prometheus: %w", err)
	}
	r.metricsListener = r.scrapes.Listener(metrics)
	if r.grpc != nil {
		grpc, err := net.Listen("tcp", r.config.GRPCListen)
		if err != nil {
			return fmt.Errorf("listen for OTLP over gRPC: %w", err)
		}
		r.grpcListener = r.connections.Listener(grpc) // their limits are those of the API's
	}
	return nil
}

// tls returns the API's TLS configuration, or nil without a certificate.
func (r *Replica) tls() (*tls.Config, error) {
	if r.config.TLSCertFile == "" {
		return nil, nil
	}
	certificates, err := connections.LoadCertificates(r.config.TLSCertFile, r.config.TLSKeyFile, r.now, r.log.Named("tls"))
	if err != nil {
		return nil, err
	}
	return certificates.Config(), nil
}

// Address returns the API's address.
func (r *Replica) Address() string { return r.apiListener.Addr().String() }

// MetricsAddress returns the address of the Prometheus metrics.
func (r *Replica) MetricsAddress() string { return r.metricsListener.Addr().String() }

// GRPCAddress returns the address of OTLP over gRPC, or "".
func (r *Replica) GRPCAddress() string {
	if r.grpcListener == nil {
		return ""
	}
	return r.grpcListener.Addr().String()
}

// servers returns the servers with their listeners.
func (r *Replica) servers() map[*http.Server]net.Listener {
	all := map[*http.Server]net.Listener{r.api: r.apiListener, r.metrics: r.metricsListener}
	if r.grpc != nil {
		all[r.grpc] = r.grpcListener
	}
	return all
}

// Run serves until ctx is done, then shuts down: it ends held polls, finishes requests, writes measurements, and closes
// connections. All goroutines have ended when it returns.
func (r *Replica) Run(ctx context.Context) error {
	defer r.close()
	serving, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	behind, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var background errgroup.Group
	for _, task := range []func(context.Context) error{
		r.mailbox.Run, r.hints.Run, r.requests.Run, r.security.Run, r.limiter.Run, r.executions.ledger.Run, r.executions.watchAgents, r.checkDatabase,
		r.monitor.Run, r.feed.Run, r.connections.Run, r.scrapes.Run,
		r.repeat("expire leases", expireEvery, rarely, r.expireLeases),
		r.repeat("sample the fleet", sampleEvery, rarely, r.sampleFleet),
		r.repeat("sample the day's cost", sampleEvery, rarely, r.executions.sampleDayCost),
		r.repeat("clean up", cleanEvery, rarely, r.cleanUp),
		r.repeat("settle executions", settleEvery, often, r.executions.settle),
		r.repeat("join log records", settleEvery, often, r.executions.joinContents),
		r.repeat("count log records", sampleEvery, rarely, r.executions.contents.Count),
		r.repeat("fold the executions' rollups", foldEvery, often, r.executions.fold),
		r.repeat("count what is not folded", sampleEvery, rarely, r.executions.countUnfolded),
		r.repeat("read which sessions ended", session.RefreshEvery, rarely, r.sessions.Refresh),
		r.repeat("mark this replica", sampleEvery, rarely, r.mark),
		r.repeat("read the enrollment tokens", pricesEvery, rarely, r.grants.Refresh),
		r.repeat("read the prices", pricesEvery, rarely, r.executions.prices.refresh),
		r.repeat("read the currency rates", pricesEvery, rarely, r.executions.currency.refresh),
		r.repeat("bound the garbage", garbageEvery, rarely, (&garbage{stored: r.executions.observer.stored.Load}).bound),
	} {
		background.Go(func() error { return task(behind) })
	}
	spooling, stopSpooling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSpooling()
	spooled := make(chan error, 1)
	go func() { spooled <- r.executions.runSpool(spooling) }()
	flushing, stopFlushing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFlushing()
	flushed := make(chan error, 1)
	go func() { flushed <- r.flusher.Run(flushing) }()

	var servers errgroup.Group
	for server, listener := range r.servers() {
		servers.Go(func() error {
			err := serve(server, listener)
			fail(err)
			return err
		})
	}
	r.log.Info("serving", zap.String("api", r.Address()), zap.String("metrics", r.MetricsAddress()), zap.String("otlp_grpc", r.GRPCAddress()), zap.String("version", r.config.Version))

	<-serving.Done()
	r.log.Info("shutting down")
	r.leave()
	r.mailbox.Drain() // and with that, unready
	err := r.shutdown()
	err = errors.Join(err, servers.Wait())
	stopSpooling() // before the ledger ends, to which the spool delivers
	err = errors.Join(err, <-spooled)
	stop()
	err = errors.Join(err, background.Wait())
	r.markStopped()
	stopFlushing()
	return errors.Join(err, <-flushed)
}

func serve(s *http.Server, l net.Listener) error {
	var err error
	if s.TLSConfig != nil {
		err = s.ServeTLS(l, "", "")
	} else {
		err = s.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutdown gives load balancers time to notice, waits for requests under way up to the shutdown timeout, and then closes
// their connections.
func (r *Replica) shutdown() error {
	delay := time.NewTimer(r.config.ShutdownDelay)
	defer delay.Stop()
	<-delay.C
	r.live.Close() // only now: clients return at once, and this replica no longer accepts them
	ctx, cancel := context.WithTimeout(context.Background(), r.config.ShutdownTimeout)
	defer cancel()
	// Agents' runs may take longer, so their streams are ended with an event before that.
	ending := time.AfterFunc(r.config.ShutdownTimeout/2, r.endStreams)
	defer ending.Stop()
	var ended sync.WaitGroup
	for server := range r.servers() {
		if server == r.metrics {
			continue
		}
		ended.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				r.log.Warn("requests were cut off", zap.Error(err))
				_ = server.Close() // Shutdown has timed out on these connections
			}
		})
	}
	ended.Wait()
	return r.metrics.Close()
}

// close releases resources of New that Run did not release.
func (r *Replica) close() {
	for _, l := range []net.Listener{r.apiListener, r.metricsListener, r.grpcListener} {
		if l != nil {
			_ = l.Close() // already closed after Run
		}
	}
	if r.executions != nil {
		if err := r.executions.close(); err != nil {
			r.log.Warn("cannot close the spool", zap.Error(err))
		}
	}
	if r.reviewer != nil {
		r.reviewer.Close()
	}
	if r.alerts != nil {
		r.alerts.Close()
	}
	if r.db != nil {
		r.db.Close()
	}
}

// How long a task pauses after a turn, as a multiple of the turn's duration, so that it cannot occupy the database.
const (
	rarely = 10
	often  = 1 // for tasks that others wait for
)

// repeat returns a task that calls do at an interval. A failure is logged once and retried at the next turn.
func (r *Replica) repeat(what string, every, rest time.Duration, do func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		timer := time.NewTimer(0)
		defer timer.Stop()
		failing := false
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
			start := r.now()
			err := within(ctx, turnTimeout, do)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil && !failing {
				r.log.Warn("cannot "+what, zap.Error(err))
			}
			failing = err != nil
			timer.Reset(max(every, min(rest*r.now().Sub(start), time.Minute)))
		}
	}
}

// within calls do with a deadline, since a connection may stall without an error.
func within(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}

// checkDatabase warns once of a schema older than this program and of a login that bypasses row-level security. Its failure
// does not keep the replica from serving.
func (r *Replica) checkDatabase(ctx context.Context) error {
	return within(ctx, turnTimeout, func(ctx context.Context) error {
		if version, err := r.db.Ping(ctx); err == nil && version < postgres.Newest() {
			r.log.Warn("the schema is older than this program; run watchbill migrate", zap.Int64("version", version), zap.Int64("wanted", postgres.Newest()))
		}
		login, err := r.db.Login(ctx)
		if err == nil && !login.TakesRoles {
			r.log.Error("the database's login may not take the roles watchbill_writer, watchbill_admin and watchbill_user; grant them to it")
		}
		if err == nil && login.SeesAll {
			r.security.Weak("the database's login sees every user's executions without taking a role")
			r.log.Warn("the database's login sees every user's executions without taking a role; use one that is NOINHERIT and not a superuser")
		}
		return nil
	})
}

func (r *Replica) expireLeases(ctx context.Context) error {
	for {
		var n int
		err := within(ctx, expireTimeout, func(ctx context.Context) (err error) {
			n, err = r.deployments.ExpireLeases(ctx, expireAtOnce)
			return err
		})
		if err != nil || n < expireAtOnce {
			return err
		}
	}
}

// sampleFleet counts the fleet for the gauges, and lengthens poll intervals if the fleet exceeds its poll budget.
func (r *Replica) sampleFleet(ctx context.Context) error {
	sample, err := r.rollups.SampleFleet(ctx, r.now(), sampleEvery)
	if err != nil {
		return err
	}
	var floors map[string]time.Duration
	if sample.WantedPolls > r.config.PollBudget {
		demand, err := r.rollups.Demand(ctx)
		if err != nil {
			return err
		}
		floors = fleet.Floors(demand, r.config.PollBudget)
	}
	r.mailbox.SetFloors(floors)
	gauges := metrics.FleetSample{
		Taken: r.now().Add(-sample.Age), Agents: map[string]int64{}, Deployments: map[string]int64{}, ExpectedPolls: sample.ExpectedPolls,
	}
	for state, n := range sample.Agents {
		gauges.Agents[string(state)] = n
	}
	for status, n := range sample.Deployments {
		gauges.Deployments[string(status)] = n
	}
	r.gauges.Set(gauges)
	return nil
}

func (r *Replica) cleanUp(ctx context.Context) error {
	now, err := r.db.Now(ctx)
	if err != nil {
		return err
	}
	return errors.Join(r.rollups.CleanUp(ctx, now, r.config.Retention), r.executions.store.CleanUp(ctx, now), r.executions.contents.CleanUp(ctx), postgres.NewSessions(r.db).CleanUp(ctx), r.replicas.CleanUp(ctx))
}

// SignInCode returns a code that may be exchanged once, within five minutes, for a session with the rights of the first
// admin token.
func (r *Replica) SignInCode() (string, error) {
	admins := tokensOf(r.config.AdminToken)
	if len(admins) == 0 {
		return "", errors.New("there is no admin token to sign in with")
	}
	return r.codes.Issue(fleet.HashToken(admins[0]))
}

// processName returns a name unique to this start, so that no two processes write the same row of rollups.
func processName() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "replica"
	}
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("name the process: %w", err)
	}
	return host + "-" + hex.EncodeToString(random[:]), nil
}
