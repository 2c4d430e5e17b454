package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy forwards TCP connections to a server on loopback and simulates network failures: it can stall, cut and delay
// connections. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	dial     func(ctx context.Context) (net.Conn, error)
	ctx      context.Context // canceled by Close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	flows chan struct{} // of new connections; closed while traffic is forwarded
	delay time.Duration
	open  map[*link]struct{}
}

// link is a client's connection together with its connection to the server.
type link struct {
	client, server net.Conn
	flows          chan struct{} // closed while traffic flows
}

const dialTimeout = 5 * time.Second

// NewProxy listens on a free port of loopback and forwards to target, which is host:port. The caller must call Close.
func NewProxy(target string) (*Proxy, error) {
	return newProxy(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", target)
	})
}

func newProxy(dial func(context.Context) (net.Conn, error)) (*Proxy, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy: %w", err)
	}
	p := &Proxy{listener: l, dial: dial, flows: make(chan struct{}), open: map[*link]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	close(p.flows)
	p.running.Go(p.accept)
	return p, nil
}

// Address returns the proxy's address, host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Stall stops all traffic, also of new connections, without closing any. If one end closes its connection, the other is
// not notified before Resume.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flows = stopped(p.flows)
	for l := range p.open {
		l.flows = stopped(l.flows)
	}
}

// Forget stops the traffic of the existing connections permanently without closing them, like a firewall that lost its
// state. New connections work.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		l.flows = stopped(l.flows)
	}
	p.open = map[*link]struct{}{}
}

// Cut closes all connections, and new ones immediately.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for l := range p.open {
		l.close()
	}
}

// Delay delays traffic by d in each direction.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Resume ends Stall and Cut. Stalled data is delivered.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.flows = flowing(p.flows)
	for l := range p.open {
		l.flows = flowing(l.flows)
	}
}

// Connections returns the number of client connections.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Close closes the proxy and all its connections, and waits for its goroutines.
func (p *Proxy) Close() error {
	p.cancel()
	err := p.listener.Close()
	p.Cut()
	p.running.Wait()
	if err != nil {
		return fmt.Errorf("close the proxy: %w", err)
	}
	return nil
}

func stopped(flows chan struct{}) chan struct{} {
	select {
	case <-flows:
		return make(chan struct{})
	default:
		return flows
	}
}

func flowing(flows chan struct{}) chan struct{} {
	select {
	case <-flows:
	default:
		close(flows)
	}
	return flows
}

func (l *link) close() { _ = errors.Join(l.client.Close(), l.server.Close()) } // either may be closed already

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := p.dial(p.ctx)
	if err != nil {
		_ = client.Close() // the closest to a rejection that a proxy can do
		return
	}
	l := &link{client: client, server: server}
	p.mu.Lock()
	if p.cut || p.ctx.Err() != nil {
		p.mu.Unlock()
		l.close()
		return
	}
	l.flows = p.flows
	p.open[l] = struct{}{}
	p.mu.Unlock()
	gone := context.AfterFunc(p.ctx, l.close) // forgotten connections too
	defer gone()

	var back sync.WaitGroup
	back.Go(func() { p.forward(l, client, server) })
	p.forward(l, server, client)
	back.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l)
}

// forward copies from one end to the other until either closes, and then closes both.
func (p *Proxy) forward(l *link, to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !p.await(l) {
			return
		}
		if n > 0 {
			if _, writeErr := to.Write(buffer[:n]); writeErr != nil {
				err = errors.Join(err, writeErr)
			}
		}
		if err != nil {
			l.close()
			return
		}
	}
}

// await waits until traffic flows and the delay has passed. It returns false if the proxy is closed.
func (p *Proxy) await(l *link) bool {
	p.mu.Lock()
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			return false
		}
	}
	p.mu.Lock()
	flows := l.flows
	p.mu.Unlock()
	select {
	case <-flows:
		return true
	case <-p.ctx.Done():
		return false
	}
}
