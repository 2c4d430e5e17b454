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

// Proxy passes TCP connections on to a server, on loopback, and fails as networks do: it stalls without closing, cuts, and
// is slow. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	dial     func(ctx context.Context) (net.Conn, error)
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	flows chan struct{} // of connections to come; closed while traffic flows
	delay time.Duration
	open  map[*link]struct{}
}

// link is a client's connection and the one to the server that it was given.
type link struct {
	client, server net.Conn
	flows          chan struct{} // closed while traffic flows
}

const dialTimeout = 5 * time.Second

// NewProxy listens on a free port of loopback and passes on to target, which is host:port. Close ends it.
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

// Address is where the proxy listens: host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Stall stops all traffic, of connections to come too, and closes nothing. What an end closes meanwhile the other does
// not learn before Resume.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flows = stopped(p.flows)
	for l := range p.open {
		l.flows = stopped(l.flows)
	}
}

// Forget stops the traffic of the connections that there are, for good, and closes nothing: as where a firewall lost
// what it knew of them. Those to come are served.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.open {
		l.flows = stopped(l.flows)
	}
	p.open = map[*link]struct{}{}
}

// Cut closes all connections, and from now on new ones at once.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for l := range p.open {
		l.close()
	}
}

// Delay holds back everything by so much, each way.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// Resume ends what Stall and Cut began. What was stalled arrives.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	p.flows = flowing(p.flows)
	for l := range p.open {
		l.flows = flowing(l.flows)
	}
}

// Connections is how many there are, of clients.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Close ends the proxy with all its connections, and waits until nothing of it is left.
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

func (l *link) close() { _ = errors.Join(l.client.Close(), l.server.Close()) } // whichever was first

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
		_ = client.Close() // refused, as far as a proxy can
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
	gone := context.AfterFunc(p.ctx, l.close) // those that were forgotten, too
	defer gone()

	var back sync.WaitGroup
	back.Go(func() { p.forward(l, client, server) })
	p.forward(l, server, client)
	back.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, l)
}

// forward passes on what comes from an end to the other until one closes, and then closes both.
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

// await returns when traffic flows and what came has been held back for long enough. It is false when the proxy ends.
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
