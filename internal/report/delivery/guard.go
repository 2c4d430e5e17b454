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

// guard is a transport that connects to allowed places alone. The names of URLs are checked at each request, redirects too,
// and addresses when they are connected to, after names were resolved.
type guard struct {
	*http.Transport
	allowed reportjob.Allowed
}

// errNotAllowed is that an output may not go where it is meant to.
type errNotAllowed struct{ error }

// proxied marks the context of a request whose connection leads to a proxy, which is the operator's own.
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
			witness(r.Context()).hide()
		}
	}
	return g.Transport.RoundTrip(r)
}

// witnessed is what is known of the connections of one try.
type witnessed struct {
	quote func(scheme string, addr netip.Addr) bool

	mu        sync.Mutex
	connected bool
	hidden    bool // one of them led where answers are not to be shown
}

type witnessKey struct{}

// witness returns who watches the connections of a try.
func witness(ctx context.Context) *witnessed {
	w, _ := ctx.Value(witnessKey{}).(*witnessed)
	return w
}

// watched returns a context whose requests are watched.
func (o Options) watched(ctx context.Context, scheme string) (context.Context, *witnessed) {
	w := &witnessed{quote: o.MayQuote}
	if w.quote == nil {
		w.quote = mayQuote
	}
	ctx = context.WithValue(ctx, witnessKey{}, w)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		at, err := netip.ParseAddrPort(got.Conn.RemoteAddr().String())
		w.mu.Lock()
		defer w.mu.Unlock()
		w.connected = true
		w.hidden = w.hidden || err != nil || !w.quote(scheme, at.Addr())
	}}), w
}

// mayQuote reports whether what a server says may be shown in a report's status. What a service inside the cluster says is
// for those alone who may reach it.
func mayQuote(scheme string, addr netip.Addr) bool {
	return scheme == "https" && reportjob.Public(addr)
}

func (w *witnessed) hide() {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden = true
}

// silent reports whether what was answered is not to be shown.
func (w *witnessed) silent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hidden
}

// failed is why there was no answer. Of a connection that was made, the reason may quote what came.
func (w *witnessed) failed(err error) error {
	var refused errNotAllowed
	if errors.As(err, &refused) {
		return refused.error
	}
	var timeout net.Error
	ours := errors.Is(err, context.Canceled) || errors.As(err, &timeout) && timeout.Timeout()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.connected && w.hidden && !ours {
		return errors.New("the connection ended without an answer that can be read")
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
