package postgres

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Config configures the connections to the database.
type Config struct {
	URL      string
	MaxConns int // of the pool for requests; 0 for the URL's value or the driver's default
	// Pooler must be set if the URL leads through a transaction pooler. It shares the server's connections, so no
	// prepared statement and no setting may be left on one.
	Pooler bool
	// Observer is notified of every query, by the name in its SQL. May be nil.
	Observer QueryObserver
	Now      func() time.Time // required with an Observer
}

// QueryObserver is notified of queries: name, duration, error and, if the server returned one, the
// SQLSTATE. It never receives parameters.
type QueryObserver interface {
	ObserveQuery(name string, took time.Duration, err error, sqlstate string)
	// ObserveOtherQuery is called for queries that do not run for known callers, by the context:
	// observe.WithAudience.
	ObserveOtherQuery(audience observe.Audience, name string, took time.Duration, err error, sqlstate string)
}

// DB holds the pools of connections to the database.
type DB struct {
	pool    *pgxpool.Pool
	queries *dbgen.Queries
	tracer  *tracer
	pooler  bool // see Config

	lastVersion atomic.Int64 // the schema version read last

	// lives counts how often everything read before became invalid: see lifeCTE.
	lives *atomic.Uint64

	// reserved has separate connections for what must continue while requests hold all connections of pool: sweeps,
	// last seen, unknown tokens, rate limits, and the health check and probes, of which one runs at a time.
	reserved *DB
}

const (
	connectTimeout   = 5 * time.Second
	dialTimeout      = 3 * time.Second  // for the TCP connection, part of connectTimeout
	unacknowledged   = 5 * time.Second  // a connection without TCP acknowledgments for this long is broken
	statementTimeout = 30 * time.Second // set on the server, so that no statement outlives its caller by long
	pingTimeout      = 2 * time.Second  // for the check of an idle connection before it is used
	closeTimeout     = 3 * time.Second
	goodbyeTimeout   = time.Second // for closing one connection
	reservedConns    = 4
)

// Open creates the pools. It does not connect: an unreachable database is reported by the first use.
func Open(ctx context.Context, config Config) (*DB, error) {
	db, err := open(ctx, config)
	if err != nil {
		return nil, err
	}
	config.MaxConns = reservedConns
	if db.reserved, err = open(ctx, config); err != nil {
		db.pool.Close()
		return nil, err
	}
	db.lives = new(atomic.Uint64)
	db.reserved.lives = db.lives
	return db, nil
}

func open(ctx context.Context, config Config) (*DB, error) {
	pc, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err) // pgx omits the password
	}
	if config.MaxConns > 0 {
		pc.MaxConns = int32(config.MaxConns)
	}
	pc.MaxConnLifetime = 30 * time.Minute
	pc.MaxConnLifetimeJitter = 5 * time.Minute
	pc.HealthCheckPeriod = 15 * time.Second
	pc.PingTimeout = pingTimeout
	harden(pc.ConnConfig)
	if config.Pooler {
		pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	} else {
		pc.AfterConnect = limitStatements(pc.ConnConfig)
	}
	pc.BeforeClose = hurryGoodbye
	traced := &tracer{observer: config.Observer, now: config.Now}
	pc.ConnConfig.Tracer = traced
	pool, err := pgxpool.NewWithConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("make the connection pool: %w", err)
	}
	return &DB{pool: pool, queries: dbgen.New(pool), tracer: traced, pooler: config.Pooler}, nil
}

// connConfig returns the configuration of a single connection outside of the pools.
func connConfig(url string) (*pgx.ConnConfig, error) {
	pc, err := pgxpool.ParseConfig(url) // removes the pool's parameters, which the server would reject
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	harden(pc.ConnConfig)
	return pc.ConnConfig, nil
}

func harden(cc *pgx.ConnConfig) {
	cc.ConnectTimeout = connectTimeout
	cc.DialFunc = (&net.Dialer{
		Timeout:         dialTimeout,
		Control:         breakUnacknowledged,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}).DialContext
	if cc.ValidateConnect == nil {
		// A standby accepts no writes, and its snapshots do not list the running transactions.
		cc.ValidateConnect = validateWritable
	}
	setDefault := func(name, value string) {
		if _, ok := cc.RuntimeParams[name]; !ok {
			cc.RuntimeParams[name] = value
		}
	}
	setDefault("application_name", "watchbill")
	setDefault("timezone", "UTC")
}

func validateWritable(ctx context.Context, conn *pgconn.PgConn) error {
	if err := pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn); err != nil {
		return fmt.Errorf("%w: %w", errReadOnly, err)
	}
	return nil
}

// hurryGoodbye limits the time to close a connection. The driver waits up to 15 s for the server to confirm,
// and until then the connection counts towards the pool's maximum: after a network failure a pool could open no
// new ones for that long.
func hurryGoodbye(conn *pgx.Conn) {
	socket := conn.PgConn().Conn()
	time.AfterFunc(goodbyeTimeout, func() { _ = socket.Close() }) // usually closed already
}

// limitStatements returns a function that sets the timeouts of a new connection, except those that the URL sets. It
// uses a statement, since transaction poolers reject them as start-up parameters.
func limitStatements(cc *pgx.ConnConfig) func(context.Context, *pgx.Conn) error {
	var set strings.Builder
	set.WriteString("SET jit = off;") // statements are short; compiling one can take longer than running it
	for _, name := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, ok := cc.RuntimeParams[name]; !ok {
			fmt.Fprintf(&set, "SET %s = %d;", name, statementTimeout.Milliseconds())
		}
	}
	return func(ctx context.Context, conn *pgx.Conn) error {
		return conn.PgConn().Exec(ctx, set.String()).Close()
	}
}

// Password returns the password in url, so that it can be kept out of logs. It is empty if there is
// none or url is malformed.
func Password(url string) string {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return ""
	}
	return config.ConnConfig.Password
}

// Close closes the connections and waits for those in use, for up to closeTimeout.
func (db *DB) Close() {
	closed := make(chan struct{})
	go func() {
		db.reserved.pool.Close()
		db.pool.Close()
		close(closed)
	}()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case <-closed:
	case <-timer.C:
	}
}

// Ping returns the schema's version, 0 if there is no schema, or the reason why the database is unavailable.
// While the table of versions is locked, it returns the version read last: the database responds, and
// nothing else needs that table.
func (db *DB) Ping(ctx context.Context) (schemaVersion int64, err error) {
	return db.reserved.version(ctx)
}

func (db *DB) version(ctx context.Context) (version int64, err error) {
	err = db.transact(ctx, "read the schema version", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '500ms'"); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `-- name: SchemaVersion :one
SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	})
	switch sqlstate(err) {
	case undefinedTable:
		return 0, nil
	case lockNotAvailable:
		return db.lastVersion.Load(), nil
	}
	if err == nil {
		db.lastVersion.Store(version)
	}
	return version, distinguishable(err)
}

// Now returns the time by the database's clock, which dates the stored rows.
func (db *DB) Now(ctx context.Context) (now time.Time, err error) {
	err = db.pool.QueryRow(ctx, "-- name: Now :one\nSELECT now()").Scan(&now)
	return now, wrap("ask for the time", err)
}

// Pool returns the usage of the pool for requests.
func (db *DB) Pool() metrics.PoolSample {
	s := db.pool.Stat()
	return metrics.PoolSample{
		Max:           s.MaxConns(),
		InUse:         s.AcquiredConns(),
		Idle:          s.IdleConns(),
		Constructing:  s.ConstructingConns(),
		Acquires:      s.AcquireCount(),
		EmptyAcquires: s.EmptyAcquireCount(),
		AcquireWait:   s.EmptyAcquireWaitTime(),
		Waiting:       db.tracer.acquiring.Load(),
		Others:        db.tracer.others.count.Load(),
	}
}
