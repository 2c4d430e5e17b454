package postgres

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/watchbill/watchbill/internal/observe"
)

// tracer names every query and reports its duration and audience to the observer. It also counts the callers that wait
// for a connection, and the connections in use for others than known callers.
type tracer struct {
	observer  QueryObserver // may be nil
	now       func() time.Time
	acquiring atomic.Int32 // the number of callers that wait for a connection
	others    lentConns
}

// lentConns is the set of connections in use for unauthenticated callers and probes. It is needed because the
// pool does not pass a context when a connection is released. While the set is empty, which it nearly always
// is, releases take no lock.
type lentConns struct {
	count atomic.Int32
	mu    sync.Mutex
	conns map[*pgx.Conn]struct{}
}

func (l *lentConns) add(conn *pgx.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns = map[*pgx.Conn]struct{}{}
	}
	l.conns[conn] = struct{}{}
	l.count.Store(int32(len(l.conns)))
}

func (l *lentConns) remove(conn *pgx.Conn) {
	if l.count.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
	l.count.Store(int32(len(l.conns)))
}

type traceKey struct{}

type queryTrace struct {
	name  string
	start time.Time
}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (t *tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	t.acquiring.Add(1)
	return ctx
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (t *tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	t.acquiring.Add(-1)
	if data.Conn != nil && observe.AudienceOf(ctx) != observe.Known {
		t.others.add(data.Conn)
	}
}

// TraceRelease implements pgxpool.ReleaseTracer.
func (t *tracer) TraceRelease(_ *pgxpool.Pool, data pgxpool.TraceReleaseData) {
	t.others.remove(data.Conn)
}

// TraceQueryStart implements pgx.QueryTracer.
func (t *tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return t.begin(ctx, queryName(data.SQL))
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t *tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	t.end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer. A batch counts as one query with the name of its first.
func (t *tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	name := "Batch"
	if data.Batch != nil && len(data.Batch.QueuedQueries) > 0 {
		name = queryName(data.Batch.QueuedQueries[0].SQL)
	}
	return t.begin(ctx, name)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (t *tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (t *tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	t.end(ctx, data.Err)
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (t *tracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	return t.begin(ctx, "copy "+data.TableName[len(data.TableName)-1])
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (t *tracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	t.end(ctx, data.Err)
}

func (t *tracer) begin(ctx context.Context, name string) context.Context {
	if t.observer == nil {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, queryTrace{name, t.now()})
}

func (t *tracer) end(ctx context.Context, err error) {
	started, ok := ctx.Value(traceKey{}).(queryTrace)
	if !ok {
		return
	}
	took := t.now().Sub(started.start)
	if audience := observe.AudienceOf(ctx); audience != observe.Known {
		t.observer.ObserveOtherQuery(audience, started.name, took, err, sqlstate(err))
		return
	}
	t.observer.ObserveQuery(started.name, took, err, sqlstate(err))
}

// queryName returns the name at the start of a query, by sqlc's convention: "-- name: GetAgent :one". Statements such
// as BEGIN, COMMIT and SET are named by their first word.
func queryName(sql string) string {
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")
		return name
	}
	word, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	switch word = strings.ToLower(strings.TrimRight(word, ";")); word {
	case "begin", "commit", "rollback", "listen", "set", "alter", "drop":
		return word
	default:
		return "unnamed"
	}
}

func sqlstate(err error) string {
	var fault *pgconn.PgError
	if errors.As(err, &fault) {
		return fault.Code
	}
	return ""
}
