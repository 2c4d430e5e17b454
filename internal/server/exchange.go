package server

import (
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/connections"
)

// exchange is one request and its answer on their way through the server. It is the handler's ResponseWriter, so that
// what is recorded and logged afterwards is what was really sent.
type exchange struct {
	http.ResponseWriter
	r      *http.Request
	route  *metrics.Route
	param  string // what the path's wildcard stands for
	caller caller
	// audience is Unauthenticated until a valid token is found, so that whatever fails before counts as such.
	audience observe.Audience
	// exporter is set where faults are told as OpenTelemetry's protocol has it.
	exporter  bool
	idle      bool
	abandoned bool
	// lingers says that the body is to be drained after the answer.
	lingers bool

	body *body             // nil until the caller is known
	conn *connections.Conn // nil where nobody counts them

	answers *budget // of large answers; nil: they are not limited

	now       func() time.Time
	start     time.Time
	leaving   *atomic.Bool // see Server.Leave
	requestID string
	// The values of headers that polls have, so that these cost no allocation.
	idHeader, tagHeader, intervalHeader [1]string

	pattern  string
	status   int       // 0: nothing was sent
	ready    time.Time // when the answer was; what its client takes to read it is not ours
	bytesIn  int64
	bytesOut int64
	held     time.Duration
}

// hideReferrer has a browser keep the address of a page, which may have the admin token in its query, to itself.
func (x *exchange) hideReferrer() { x.Header()["Referrer-Policy"] = noReferrer }

// hold notes that the answer was deliberately held back for so long: no part of its latency.
func (x *exchange) hold(d time.Duration) { x.held += d }

// outlast lets the answer take so long without the server's timeouts ending the connection. While a handler works, the
// server reads on to notice a client that goes away, and takes the end of ReadTimeout for one.
func (x *exchange) extendDeadlines(now time.Time, d time.Duration) error {
	const toSend = 30 * time.Second
	control := http.NewResponseController(x.ResponseWriter)
	if err := control.SetReadDeadline(now.Add(d + toSend)); err != nil {
		return err
	}
	return control.SetWriteDeadline(now.Add(d + toSend))
}

// abandon gives the connection up: who asked is gone, or was half answered.
func (x *exchange) abandon() { x.abandoned = true }

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= http.StatusOK {
		x.status, x.ready = status, x.now()
		if x.leaving.Load() { // a poll may have been held since before
			x.Header()["Connection"] = closing
		}
		if x.leavesBody() {
			x.Header()["Connection"] = closing
			x.lingers = http.NewResponseController(x.ResponseWriter).EnableFullDuplex() == nil
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.status, x.ready = http.StatusOK, x.now()
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytesOut += int64(n)
	return n, err
}

// Unwrap is http.ResponseController's.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// describe adds to the fields of a log line whose request it tells of.
func (x *exchange) describe(fields ...zap.Field) []zap.Field {
	return append(fields, zap.String("request_id", x.requestID), zap.String("method", x.r.Method), zap.String("route", x.pattern))
}

// outcome is the status to record.
func (x *exchange) outcome() int {
	switch {
	case x.abandoned && x.status == 0:
		return statusClientGone
	case x.status == 0:
		return http.StatusOK // what net/http sends for a handler that sent nothing
	default:
		return x.status
	}
}
