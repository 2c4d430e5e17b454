package delivery

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync"
	"syscall"
	"time"

	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// guard is a transport that connects only to allowed outputs. It checks host names for each request, including redirects,
// and addresses when connecting, after names are resolved.
type guard struct {
	*http.Transport
	allowed reportjob.Allowed
}

// errNotAllowed is the error for an output that is not allowed.
type errNotAllowed struct{ error }

// proxied marks the context of a request through a proxy, which the operator has configured.
type proxied struct{}

func newGuard(transport *http.Transport, allowed reportjob.Allowed) guard {
	dial := transport.DialContext
	dialer := net.Dialer{Timeout: 30 * time.Second, ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		if ctx.Value(proxied{}) != nil {
			return nil
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return errNotAllowed{err}
		}
		if err := allowed.Address(at.Addr()); err != nil {
			return errNotAllowed{err}
		}
		return nil
	}}
	if !allowed.Any() || dial == nil {
		transport.DialContext = dialer.DialContext
	}
	return guard{transport, allowed}
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.allowed.URL(r.URL); err != nil {
		return nil, errNotAllowed{err}
	}
	if g.Proxy != nil {
		proxy, err := g.Proxy(r)
		if err != nil {
			return nil, err
		}
		if proxy != nil {
			if !g.allowed.Any() && !g.allowed.Names() {
				return nil, errNotAllowed{errors.New("behind a proxy only names can be checked, and the allowed outputs have none")}
			}
			r = r.WithContext(context.WithValue(r.Context(), proxied{}, true))
			connectionsOf(r.Context()).hide()
		}
	}
	return g.Transport.RoundTrip(r)
}

// connections records the connections of one attempt.
type connections struct {
	quote func(scheme string, addr netip.Addr) bool

	mu        sync.Mutex
	connected bool
	hidden    bool // one of them led to a server whose responses may not be quoted
}

type connectionsKey struct{}

// connectionsOf returns the record of an attempt's connections.
func connectionsOf(ctx context.Context) *connections {
	w, _ := ctx.Value(connectionsKey{}).(*connections)
	return w
}

// watched returns a context that records the connections of its requests.
func (o Options) watched(ctx context.Context, scheme string) (context.Context, *connections) {
	w := &connections{quote: o.MayQuote}
	if w.quote == nil {
		w.quote = mayQuote
	}
	ctx = context.WithValue(ctx, connectionsKey{}, w)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		at, err := netip.ParseAddrPort(got.Conn.RemoteAddr().String())
		w.mu.Lock()
		defer w.mu.Unlock()
		w.connected = true
		w.hidden = w.hidden || err != nil || !w.quote(scheme, at.Addr())
	}}), w
}

// mayQuote reports whether a server's responses may be quoted in a report's status. Responses of services inside the
// cluster must be visible only to clients that can reach them.
func mayQuote(scheme string, addr netip.Addr) bool {
	return scheme == "https" && reportjob.Public(addr)
}

func (w *connections) hide() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden = true
}

// silent reports whether responses may not be quoted.
func (w *connections) silent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hidden
}

// failed returns why there was no response. After a connection was made, the error may quote what was received.
func (w *connections) failed(err error) error {
	var refused errNotAllowed
	if errors.As(err, &refused) {
		return refused.error
	}
	var timeout net.Error
	ours := errors.Is(err, context.Canceled) || errors.As(err, &timeout) && timeout.Timeout()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connected && w.hidden && !ours {
		return errors.New("the connection ended without a readable response")
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
