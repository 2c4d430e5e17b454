package postgrestest

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
)

// Proxy is a proxy in front of PostgreSQL that simulates network failures.
type Proxy struct {
	URL string // of the database, through the proxy

	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	flows chan struct{} // closed while traffic is forwarded
	conns map[net.Conn]struct{}
}

// NewProxy returns a proxy for the database at databaseURL. It is closed when the test ends.
func NewProxy(t testing.TB, databaseURL string) *Proxy {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: u.Host, flows: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(p.flows)
	u.Host = l.Addr().String()
	p.URL = u.String()
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close() // an error does not matter
		p.Cut()
		p.Resume() // stalled connections must end
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Stall stops all traffic, also of new connections, without closing anything.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flows = make(chan struct{})
}

// Cut closes all connections and rejects new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.conns {
		_ = c.Close() // an error does not matter
	}
}

// Resume forwards traffic again.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	select {
	case <-p.flows:
	default:
		close(p.flows)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
		if err != nil || !p.admit(client, server) {
			_ = client.Close() // rejected
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		p.running.Go(func() { p.forward(client, server) })
		p.running.Go(func() { p.forward(server, client) })
	}
}

func (p *Proxy) admit(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return true
}

// forward copies until either end closes, and then closes both.
func (p *Proxy) forward(to, from net.Conn) {
	defer func() {
		_ = errors.Join(to.Close(), from.Close()) // the other direction may have closed them
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, to)
		delete(p.conns, from)
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		flows := p.flows
		p.mu.Unlock()
		<-flows
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
