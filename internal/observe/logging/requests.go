package logging

import (
	"context"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/watchbill/watchbill/internal/observe"
)

const (
	// Of the idle polls of one second, the first idleFirst are logged and then one in idleEvery.
	idleFirst = 10
	idleEvery = 100

	// Of the other requests of known callers, the first busyFirst of each kind in a second are logged, and then one in
	// busyEvery. Of failures (500 and above) the first failedFirst are.
	busyFirst   = 50
	failedFirst = 200
	busyEvery   = 1000

	// The limits of logged requests of unauthenticated callers in one second, of each kind and of all kinds.
	unauthenticatedFirst = 2
	unauthenticatedAll   = 5

	// leftEvery is the limit of the time until a request without a line is counted in another line. For unauthenticated
	// callers it is unauthenticatedEvery.
	leftEvery            = 10 * time.Second
	unauthenticatedEvery = 6 * leftEvery

	maxPathLine = 256 // bytes of the path in a request's line
	maxIDLine   = 128 // bytes of an id
)

// RequestLine is what is logged of a completed request.
type RequestLine struct {
	Method, Route     string // Route is the pattern, or UnmatchedRoute
	Path              string // with its query, as the client sent it; Log redacts and shortens it
	Status            int
	Duration          time.Duration // until the response was ready, without the requested wait
	BytesIn, BytesOut int64
	RequestID         string
	AgentID           string // empty if the caller is not an agent
	ServiceAccount    string // of Kubernetes, as namespace/name; empty if the caller is not one
	Remote            string
	Idle              bool // a poll that found nothing; sampled
	Unauthenticated   bool // the caller sent no token that is valid here; sampled
	File              bool // a file of the web page; logged at debug
}

// RequestLogger logs requests as lines with the msg "request": server errors at level error, files of the web page at
// debug, all others at info.
//
// Most idle polls get no line, since nearly all requests are idle polls. Neither do most requests of unauthenticated
// callers, which could otherwise fill the log, nor those of other callers beyond a limit per second. A line that
// represents n > 1 requests of the same method, route and status has sampled: n. The sum of sampled, or 1 for lines
// without it, is the number of requests, except those of the last ten seconds (unauthenticated: of the last minute)
// while the program runs.
type RequestLogger struct {
	log             *zap.Logger
	redact          redactor
	now             func() time.Time
	idle            *samplers
	busy            *samplers
	failed          *samplers
	unauthenticated *samplers
	causes          *samplers // for unauthenticated callers; of a single kind
	failedCauses    *samplers // for known ones, likewise
}

// NewRequestLogger returns a logger of requests to logs.App. Its counts are correct only if Run runs.
func NewRequestLogger(logs *Logs, now func() time.Time) *RequestLogger {
	return &RequestLogger{
		log: logs.App.Named("http"), redact: logs.redact, now: now,
		idle:            newSamplers(idleFirst, idleEvery, 0, maxSamplers),
		busy:            newSamplers(busyFirst, busyEvery, 0, maxUnauthenticatedKinds),
		unauthenticated: newSamplers(unauthenticatedFirst, 0, unauthenticatedAll, maxUnauthenticatedKinds),
		failed:          newSamplers(failedFirst, busyEvery, 0, maxUnauthenticatedKinds),
		causes:          newSamplers(unauthenticatedFirst, 0, 0, 0),
		failedCauses:    newSamplers(failedFirst, busyEvery, 0, 0),
	}
}

// SampleCause returns how many lines the line about the cause of a failed request represents, or 0 if it should not be
// logged. known reports whether the caller is known.
func (l *RequestLogger) SampleCause(known bool) int64 {
	if known {
		return l.failedCauses.rest.take(l.now(), 0)
	}
	return l.causes.rest.take(l.now(), 0)
}

// Log logs a request, or counts it for another line if it is sampled. That decision costs some tens of nanoseconds.
func (l *RequestLogger) Log(r RequestLine) {
	level := zapcore.InfoLevel
	switch {
	case r.Status >= 500:
		level = zapcore.ErrorLevel
	case r.File:
		level = zapcore.DebugLevel
	}
	if !l.log.Core().Enabled(level) {
		return
	}
	var sampler *sampler
	switch {
	case r.Unauthenticated:
		sampler = l.unauthenticated.orRest(kind{observe.MethodLabel(r.Method), r.Route, r.Status})
	case r.Idle && r.Status < 400:
		sampler = l.idle.of(kind{observe.MethodLabel(r.Method), r.Route, r.Status})
	case r.Status >= 500:
		sampler = l.failed.orRest(kind{observe.MethodLabel(r.Method), r.Route, r.Status})
	default:
		sampler = l.busy.orRest(kind{observe.MethodLabel(r.Method), r.Route, r.Status})
	}
	stands := int64(1)
	if sampler != nil {
		if stands = sampler.take(l.now(), r.Duration); stands == 0 {
			return
		}
	}
	entry := l.log.Check(level, "request")
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, 12)
	fields = append(fields,
		zap.String("method", observe.MethodLabel(r.Method)),
		zap.String("route", r.Route),
		zap.String("path", l.redact.sentURL(r.Path, maxPathLine)),
		zap.Int("status", r.Status),
		zap.Float64("duration_ms", observe.Milliseconds(r.Duration)),
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

// Run writes lines for requests that would otherwise wait too long to be counted. When ctx is done it writes lines for
// the rest; callers of Log should have stopped by then.
func (l *RequestLogger) Run(ctx context.Context) error {
	idle, unauthenticated := time.NewTicker(leftEvery), time.NewTicker(unauthenticatedEvery)
	defer idle.Stop()
	defer unauthenticated.Stop()
	for {
		select {
		case <-ctx.Done():
			l.flush(l.idle)
			l.flush(l.busy)
			l.flush(l.failed)
			l.flush(l.unauthenticated)
			return nil
		case <-idle.C:
			l.flush(l.idle)
			l.flush(l.busy)
			l.flush(l.failed)
		case <-unauthenticated.C:
			l.flush(l.unauthenticated)
		}
	}
}

// flush writes a line for the uncounted requests of each kind.
func (l *RequestLogger) flush(kinds *samplers) {
	for _, s := range *kinds.byKind.Load() {
		l.flushKind(s)
	}
	l.flushKind(&kinds.rest)
}

func (l *RequestLogger) flushKind(s *sampler) {
	level := zapcore.InfoLevel
	if s.kind.status >= 500 {
		level = zapcore.ErrorLevel
	}
	if !l.log.Core().Enabled(level) {
		return
	}
	left := s.left.Swap(0)
	if left == 0 {
		return
	}
	l.log.Log(level, "request",
		zap.String("method", s.kind.method),
		zap.String("route", s.kind.route),
		zap.Int("status", s.kind.status),
		zap.Float64("duration_ms", observe.Milliseconds(time.Duration(s.last.Load()))),
		zap.Int64("bytes_in", 0),
		zap.Int64("bytes_out", 0),
		zap.Int64("sampled", left),
	)
}
