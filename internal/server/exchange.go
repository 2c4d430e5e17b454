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

// exchange is one request and its response. It is the handler's ResponseWriter, so that metrics and logs record what
// was actually sent.
type exchange struct {
	http.ResponseWriter
	r      *http.Request
	route  *metrics.Route
	param  string // the value of the path's wildcard
	caller caller
	// audience is Unauthenticated until a valid token is found, so that earlier failures are counted as such.
	audience observe.Audience
	// exporter is set if errors are sent in the format of OpenTelemetry's protocol.
	exporter  bool
	idle      bool
	abandoned bool
	// lingers is set if the body is to be drained after the response.
	lingers bool

	body *body             // nil until the caller is known
	conn *connections.Conn // nil if connections are not counted

	answers *budget // for large responses; nil if they are not limited

	now       func() time.Time
	start     time.Time
	leaving   *atomic.Bool // see Server.CloseConnections
	requestID string
	// The values of poll responses' headers, stored here to avoid allocations.
	idHeader, tagHeader, intervalHeader [1]string

	pattern  string
	status   int       // 0 if nothing was sent
	ready    time.Time // when the response was ready; excludes the time that the client takes to read it
	bytesIn  int64
	bytesOut int64
	held     time.Duration
}

// hideReferrer tells browsers not to send a page's URL, whose query may contain the admin token, as referrer.
func (x *exchange) hideReferrer() { x.Header()["Referrer-Policy"] = noReferrer }

// hold records that the response was deliberately held back for d, which is not part of its latency.
func (x *exchange) hold(d time.Duration) { x.held += d }

// extendDeadlines extends the connection's deadlines so that the response may take d. The read deadline matters too:
// while a handler runs, net/http keeps reading, and treats the end of ReadTimeout like a disconnected client.
func (x *exchange) extendDeadlines(now time.Time, d time.Duration) error {
	const toSend = 30 * time.Second
	control := http.NewResponseController(x.ResponseWriter)
	if err := control.SetReadDeadline(now.Add(d + toSend)); err != nil {
		return err
	}
	return control.SetWriteDeadline(now.Add(d + toSend))
}

// abandon marks the connection to be closed, because the client is gone or received part of a response.
func (x *exchange) abandon() { x.abandoned = true }

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= http.StatusOK {
		x.status, x.ready = status, x.now()
		if x.leaving.Load() { // a held poll may have begun before that
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

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// describe adds the fields that identify the request to those of a log line.
func (x *exchange) describe(fields ...zap.Field) []zap.Field {
	return append(fields, zap.String("request_id", x.requestID), zap.String("method", x.r.Method), zap.String("route", x.pattern))
}

// outcome returns the status to record.
func (x *exchange) outcome() int {
	switch {
	case x.abandoned && x.status == 0:
		return statusClientGone
	case x.status == 0:
		return http.StatusOK // net/http sends it for a handler that wrote nothing
	default:
		return x.status
	}
}
