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

// Config says how to reach the database.
type Config struct {
	URL      string
	MaxConns int // of the pool for requests; 0: the URL's, or the driver's default
	// Pooler says that a transaction pooler stands between, which shares the server's connections: nothing may be left
	// on one, neither a prepared statement nor a setting.
	Pooler bool
	// Observer hears of every query, by the name it bears in its SQL. May be nil.
	Observer QueryObserver
	Now      func() time.Time // needed by an Observer
}

// QueryObserver hears of queries: name, duration, error and, if the server gave one, its SQLSTATE. Parameters are
// never told.
type QueryObserver interface {
	ObserveQuery(name string, took time.Duration, err error, sqlstate string)
	// ObserveOtherQuery hears of those that run for others than known callers, by the context: observe.WithAudience.
	ObserveOtherQuery(audience observe.Audience, name string, took time.Duration, err error, sqlstate string)
}

// DB is a pool of connections to the database.
type DB struct {
	pool    *pgxpool.Pool
	queries *dbgen.Queries
	tracer  *tracer
	pooler  bool // see Config

	lastVersion atomic.Int64 // of the schema

	// lives counts how often what was read before ceased to hold: see lifeCTE.
	lives *atomic.Uint64

	// reserved has connections of its own for what must go on while requests hold all of the pool's: sweeps, last-seen,
	// unknown tokens, and the health check and probes, of which one runs at a time.
	reserved *DB
}

const (
	connectTimeout   = 5 * time.Second
	dialTimeout      = 3 * time.Second  // of the part of it until the server's machine answers
	unacknowledged   = 5 * time.Second  // after so long without a sign of the server's machine a connection is broken
	statementTimeout = 30 * time.Second // the server's, lest a statement outlives whoever asked
	pingTimeout      = 2 * time.Second  // of an idle connection, before it is used
	closeTimeout     = 3 * time.Second
	goodbyeTimeout   = time.Second // of a connection that is closed
	reservedConns    = 4
)

// Open makes the pools. It does not wait for the database: whoever needs it finds out.
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
		return nil, fmt.Errorf("read the database URL: %w", err) // pgx leaves the password out
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

// connConfig reads the URL for a single connection outside of the pools.
func connConfig(url string) (*pgx.ConnConfig, error) {
	pc, err := pgxpool.ParseConfig(url) // it knows the pool's parameters, which the server would refuse
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
		// A standby takes no writes, and its snapshots do not list what is running.
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

// hurryGoodbye bounds the end of a connection. The driver gives the server 15 s to confirm it, and until then the pool keeps the
// connection's place: where a network has lost connections, a pool would have no place for new ones for as long.
func hurryGoodbye(conn *pgx.Conn) {
	socket := conn.PgConn().Conn()
	time.AfterFunc(goodbyeTimeout, func() { _ = socket.Close() }) // which it is already, mostly
}

// limitStatements gives each connection its limits, but for those that the URL sets. It does so by a statement:
// transaction poolers refuse them as start-up parameters.
func limitStatements(cc *pgx.ConnConfig) func(context.Context, *pgx.Conn) error {
	var set strings.Builder
	set.WriteString("SET jit = off;") // our statements are short; compiling one can take longer than running it
	for _, name := range []string{"statement_timeout", "idle_in_transaction_session_timeout"} {
		if _, ok := cc.RuntimeParams[name]; !ok {
			fmt.Fprintf(&set, "SET %s = %d;", name, statementTimeout.Milliseconds())
		}
	}
	return func(ctx context.Context, conn *pgx.Conn) error {
		return conn.PgConn().Exec(ctx, set.String()).Close()
	}
}

// Password is the password that url has, to be kept out of logs; empty where it has none or cannot be understood.
func Password(url string) string {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return ""
	}
	return config.ConnConfig.Password
}

// Close ends the connections and waits for those in use, but not for ever: a server that is silent does not say
// goodbye.
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

// Ping returns the schema's version, 0 where there is none, or why the database cannot be reached. While somebody holds a lock on
// the table of versions it returns the version that was read last: the database answers, and nothing else needs that table.
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
	return version, tellable(err)
}

// Now is the database's clock, which dates what is kept.
func (db *DB) Now(ctx context.Context) (now time.Time, err error) {
	err = db.pool.QueryRow(ctx, "-- name: Now :one\nSELECT now()").Scan(&now)
	return now, wrap("ask for the time", err)
}

// Pool tells how busy the pool is.
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
