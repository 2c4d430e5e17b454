package telemetry

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	// Of the idle polls of one second, the first idleFirst are logged and then one in idleEvery.
	idleFirst = 10
	idleEvery = 100

	// leftEvery is how long a request that got no line waits at most for one that counts it.
	leftEvery = 10 * time.Second

	maxPathLine = 256 // bytes of the path in a request's line
	maxIDLine   = 128 // bytes of an id
)

// RequestLine is what is logged of a request that was answered.
type RequestLine struct {
	Method, Route     string // Route is the pattern, or UnmatchedRoute
	Path              string // with its query, as the client sent it; it is redacted and bounded here
	Status            int
	Duration          time.Duration // until the answer was ready, without what the client asked to wait
	BytesIn, BytesOut int64
	RequestID         string
	AgentID           string // empty if it was no agent
	ServiceAccount    string // of Kubernetes: namespace/name; empty if it was none
	Remote            string
	Idle              bool // a poll that found nothing: these are sampled
}

// RequestLogger logs requests, as lines with the msg "request": server errors at error, all others at info.
//
// Idle polls are nearly all requests and say nothing new, so most get no line; a line that stands for n > 1 requests of
// the same method, route and status says sampled: n. Adding up sampled, or 1 where a line has none, counts requests
// rightly, but for those of the last ten seconds while the program runs.
type RequestLogger struct {
	log    *zap.Logger
	redact redactor
	now    func() time.Time
	idle   samplers
}

// NewRequestLogger returns a logger of requests to logs.App. Run must run for its counts to be right.
func NewRequestLogger(logs *Logs, now func() time.Time) *RequestLogger {
	l := &RequestLogger{log: logs.App.Named("http"), redact: logs.redact, now: now, idle: samplers{first: idleFirst, every: idleEvery}}
	l.idle.byKind.Store(&map[kind]*sampler{})
	return l
}

// Log logs a request, unless it is idle and left to another line; that decision costs some tens of nanoseconds.
func (l *RequestLogger) Log(r RequestLine) {
	level := zapcore.InfoLevel
	if r.Status >= 500 {
		level = zapcore.ErrorLevel
	}
	if !l.log.Core().Enabled(level) {
		return
	}
	stands := int64(1)
	if r.Idle && r.Status < 400 {
		if s := l.idle.of(kind{methodLabel(r.Method), r.Route, r.Status}); s != nil {
			if stands = s.take(l.now(), r.Duration); stands == 0 {
				return
			}
		}
	}
	entry := l.log.Check(level, "request")
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, 12)
	fields = append(fields,
		zap.String("method", methodLabel(r.Method)),
		zap.String("route", r.Route),
		zap.String("path", l.redact.sentURL(r.Path, maxPathLine)),
		zap.Int("status", r.Status),
		zap.Float64("duration_ms", milliseconds(r.Duration)),
		zap.Int64("bytes_in", r.BytesIn),
		zap.Int64("bytes_out", r.BytesOut),
		zap.String("request_id", l.redact.sent(r.RequestID, maxIDLine)),
		zap.String("remote", l.redact.sent(r.Remote, maxIDLine)),
	)
	if r.AgentID != "" {
		fields = append(fields, zap.String("agent_id", l.redact.sent(r.AgentID, maxIDLine)))
	}
	if r.ServiceAccount != "" {
		fields = append(fields, zap.String("service_account", l.redact.sent(r.ServiceAccount, maxIDLine)))
	}
	if stands > 1 {
		fields = append(fields, zap.Int64("sampled", stands))
	}
	entry.Write(fields...)
}

// Run writes lines for the requests that would wait too long for one, until ctx ends; then for all that are left. Whoever
// logs requests should have stopped by then.
func (l *RequestLogger) Run(ctx context.Context) error {
	ticker := time.NewTicker(leftEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.flush()
			return nil
		case <-ticker.C:
			l.flush()
		}
	}
}

// flush writes a line for the requests of each kind that got none.
func (l *RequestLogger) flush() {
	if !l.log.Core().Enabled(zapcore.InfoLevel) {
		return
	}
	for _, s := range *l.idle.byKind.Load() {
		left := s.left.Swap(0)
		if left == 0 {
			continue
		}
		l.log.Info("request",
			zap.String("method", s.kind.method),
			zap.String("route", s.kind.route),
			zap.Int("status", s.kind.status),
			zap.Float64("duration_ms", milliseconds(time.Duration(s.last.Load()))),
			zap.Int64("bytes_in", 0),
			zap.Int64("bytes_out", 0),
			zap.Int64("sampled", left),
		)
	}
}
