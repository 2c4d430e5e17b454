// Package live has the route of the live stream of changes.
package live

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/watchbill/watchbill/internal/live"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/session"
)

const (
	// heartbeatEvery is the interval of comments, so that proxies do not close a quiet stream. A client that went away
	// without a word is noticed, too, and so is the end of a session.
	heartbeatEvery = 15 * time.Second
	// writeWithin is how long a client may take to read. A slower one is disconnected.
	writeWithin = 10 * time.Second

	maxBuffer = 16 << 10 // bytes that a stream keeps between events
)

// Reasons for the end of a stream, for metrics.
const (
	ClientGone = "client"
	TooSlow    = "slow"
	Over       = "session" // the session ended
	Leaving    = "shutdown"
	TooOld     = "age" // see connections.Conn.TooOld
)

// Ends are the reasons for the end of a stream.
var Ends = []string{ClientGone, TooSlow, Over, Leaving, TooOld}

// Hub publishes the events.
type Hub = live.Hub

// Options configures an API. All fields are required.
type Options struct {
	Hub *Hub
	// IsOver reports whether a session has ended. It never waits.
	IsOver  func(*session.Session) bool
	Observe func(reason string) // counts the end of a stream
	Now     func() time.Time
	Jitter  func() float64 // draws from [0, 1); need not be strong
}

// API serves the route.
type API struct {
	Options

	Heartbeat, WriteWithin time.Duration
}

// New returns an API.
func New(opts Options) *API { return &API{opts, heartbeatEvery, writeWithin} }

// Routes returns the route. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{endpoint.Get("/api/live", endpoint.Admin, a.stream)}
}

// stream sends events until the client goes away, its session ends, or the replica shuts down.
func (a *API) stream(x *endpoint.Exchange) error {
	if err := x.NoQuery(); err != nil {
		return err
	}
	lastID := ""
	if values := x.Request.Header["Last-Event-Id"]; len(values) > 0 {
		lastID = values[0]
	}
	viewer, err := a.Hub.Join(lastID)
	if err != nil {
		return err
	}
	defer viewer.Leave()
	if x.Request.Method == http.MethodHead {
		begin(x)
		return nil
	}
	out := writer{x: x, control: http.NewResponseController(x.ResponseWriter), now: a.Now, within: a.WriteWithin}
	_ = out.control.SetReadDeadline(time.Time{}) // if unsupported, the server's timeout applies
	begin(x)
	// Clients return after one to three seconds, so that they do not do so together.
	reason := ClientGone
	if out.write(fmt.Appendf(nil, "retry: %d\n\n", 1000+int(a.Jitter()*2000))) == nil {
		reason = a.send(x, viewer, &out)
	}
	a.Observe(reason)
	if reason == ClientGone || reason == TooSlow {
		x.Abandon()
	}
	return nil
}

func begin(x *endpoint.Exchange) {
	header := x.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // otherwise nginx holds events back until a buffer is full
	x.WriteHeader(http.StatusOK)
}

var heartbeat = []byte(": heartbeat\n\n")

// send sends events and returns why the stream ended.
func (a *API) send(x *endpoint.Exchange, viewer *live.Viewer, out *writer) (reason string) {
	timer := time.NewTicker(a.Heartbeat)
	defer timer.Stop()
	var buffer []byte
	for {
		if s := x.Caller.Session; s != nil && a.IsOver(s) {
			return Over
		}
		events, changed, err := viewer.Take(buffer[:0])
		switch {
		case errors.Is(err, live.ErrSlow):
			return TooSlow
		case err != nil:
			return Leaving
		}
		if len(events) > 0 {
			if err := out.write(events); err != nil {
				return gone(err)
			}
		}
		if buffer = events; cap(buffer) > maxBuffer {
			buffer = nil
		}
		select {
		case <-x.Request.Context().Done():
			return ClientGone
		case <-changed:
		case <-timer.C:
			if err := out.write(heartbeat); err != nil {
				return gone(err)
			}
			if x.Conn.TooOld(a.Now()) {
				return TooOld
			}
		}
	}
}

// gone returns why a write failed.
func gone(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return TooSlow
	}
	return ClientGone
}

// writer writes to a client, which must read in time.
type writer struct {
	x       *endpoint.Exchange
	control *http.ResponseController
	now     func() time.Time
	within  time.Duration
}

func (w *writer) write(p []byte) error {
	_ = w.control.SetWriteDeadline(w.now().Add(w.within)) // if unsupported, the server's timeout applies
	if _, err := w.x.Write(p); err != nil {
		return err
	}
	if err := w.control.Flush(); err != nil {
		return err
	}
	_ = w.control.SetWriteDeadline(time.Time{}) // HTTP/2 ends a stream at its deadline even if nothing is written
	return nil
}
