// Package endpoint has what the handlers of all resources share: the exchange of a request and its response, routes,
// handlers made of a reader and a typed function, and limits of memory, of concurrency and of rates.
package endpoint

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/connections"
)

// Exchange is one request and its response. It is the handler's ResponseWriter, so that metrics and logs record what
// was actually sent.
type Exchange struct {
	http.ResponseWriter
	Request *http.Request
	Shared  *Shared
	Route   *metrics.Route // nil for an unknown path or method
	Pattern string         // of the route
	Param   string         // the value of the path's wildcard
	Caller  Caller
	// Audience is Unauthenticated until a valid token is found, so that earlier failures are counted as such.
	Audience observe.Audience
	// Exporter is set if errors are sent in the format of OpenTelemetry's protocol.
	Exporter bool
	Idle     bool // for polls: there is nothing new
	// Abandoned is set if the connection is to be closed, because the client is gone or received part of a response.
	Abandoned bool
	// Lingers is set if the body is to be drained after the response.
	Lingers bool

	Body *Body             // nil until the caller is known
	Conn *connections.Conn // nil if connections are not counted

	Start     time.Time
	RequestID string
	// The values of poll responses' headers, stored here to avoid allocations.
	IDHeader, TagHeader, IntervalHeader [1]string

	Status   int       // 0 if nothing was sent
	Ready    time.Time // when the response was ready; excludes the time that the client takes to read it
	BytesIn  int64
	BytesOut int64
	Held     time.Duration
}

// Shared is what all exchanges of a server share.
type Shared struct {
	Now       func() time.Time
	Jitter    func() float64
	Limiter   *ratelimit.Limiter // nil for no rate limits
	Turns     *Turns             // of agents at the database
	Bodies    *Budget            // of request bodies
	Responses *Budget            // of large responses; nil if they are not limited

	Security *logging.SecurityLog
	Address  func(*http.Request) string // returns a client's address
	// Pseudonym returns the pseudonym that is stored instead of a user's id. It may be nil.
	Pseudonym func(userID string) string

	// Leaving is set if every response is to close its connection.
	Leaving atomic.Bool
}

// closing is the value of a header, shared by all responses and never written to.
var closing = []string{"close"}

// Hold records that the response was deliberately held back for d, which is not part of its latency.
func (x *Exchange) Hold(d time.Duration) { x.Held += d }

// ExtendDeadlines extends the connection's deadlines so that the response may take d. The read deadline matters too:
// while a handler runs, net/http keeps reading, and treats the end of ReadTimeout like a disconnected client.
func (x *Exchange) ExtendDeadlines(d time.Duration) error {
	const toSend = 30 * time.Second
	now := x.Shared.Now()
	control := http.NewResponseController(x.ResponseWriter)
	if err := control.SetReadDeadline(now.Add(d + toSend)); err != nil {
		return err
	}
	return control.SetWriteDeadline(now.Add(d + toSend))
}

// Abandon marks the connection to be closed, because the client is gone or received part of a response.
func (x *Exchange) Abandon() { x.Abandoned = true }

// WriteHeader implements http.ResponseWriter, and records the status and when it was sent.
func (x *Exchange) WriteHeader(status int) {
	if x.Status == 0 && status >= http.StatusOK {
		x.Status, x.Ready = status, x.Shared.Now()
		if x.Shared.Leaving.Load() { // a held poll may have begun before that
			x.Header()["Connection"] = closing
		}
		if x.leavesBody() {
			x.Header()["Connection"] = closing
			x.Lingers = http.NewResponseController(x.ResponseWriter).EnableFullDuplex() == nil
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *Exchange) Write(p []byte) (int, error) {
	if x.Status == 0 {
		x.Status, x.Ready = http.StatusOK, x.Shared.Now()
	}
	n, err := x.ResponseWriter.Write(p)
	x.BytesOut += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *Exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Describe adds the fields that identify the request to those of a log line.
func (x *Exchange) Describe(fields ...zap.Field) []zap.Field {
	return append(fields, zap.String("request_id", x.RequestID), zap.String("method", x.Request.Method), zap.String("route", x.Pattern))
}

// Outcome returns the status to record.
func (x *Exchange) Outcome() int {
	switch {
	case x.Abandoned && x.Status == 0:
		return StatusClientGone
	case x.Status == 0:
		return http.StatusOK // net/http sends it for a handler that wrote nothing
	default:
		return x.Status
	}
}

// Knows reports whether the client has the content with the tag. Tags are compared weakly, as RFC 9110 (13.1.2)
// requires for If-None-Match.
func (x *Exchange) Knows(tag string) bool {
	for _, list := range x.Request.Header["If-None-Match"] {
		if list == tag || list == "*" {
			return true
		}
		for candidate := range strings.SplitSeq(list, ",") {
			if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

const maxLeftover int64 = 256 << 10 // bytes of a body that net/http reads itself, keeping the connection

// leavesBody reports whether more of the body is unread than net/http would read itself.
func (x *Exchange) leavesBody() bool {
	if x.Request.ContentLength == 0 || x.Request.ProtoMajor != 1 {
		return false
	}
	left := x.Request.ContentLength
	if x.Body != nil {
		left = x.Body.unread(x.Request)
	}
	return left < 0 || left > maxLeftover
}

// StatusClientGone is Recorded, and never sent, if the client went away before the response.
const StatusClientGone = 499
