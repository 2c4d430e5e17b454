package postgres_test

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy is a faulty network between a client and the database.
type proxy struct {
	url     string
	refused atomic.Int64 // connections closed at once

	server   string
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex
	open    map[net.Conn]*atomic.Bool // both ends of each connection; whether it is stalled
	closes  bool                      // close new connections at once
	ignores bool                      // accept new connections and never respond
}

func newProxy(t *testing.T, db database) *proxy {
	t.Helper()
	parsed, err := url.Parse(db.url)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: parsed.Host, open: map[net.Conn]*atomic.Bool{}}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	parsed.Host = p.listener.Addr().String()
	p.url = parsed.String()
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = p.listener.Close()
		p.cut()
		p.all.Wait()
	})
	return p
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.serve(client)
	}
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stalled := &atomic.Bool{}
	switch {
	case p.closes:
		p.refused.Add(1)
		_ = client.Close()
		return
	case p.ignores:
		p.open[client] = stalled
		return
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.open[client], p.open[server] = stalled, stalled
	p.all.Go(func() { forward(server, client, stalled) })
	p.all.Go(func() { forward(client, server, stalled) })
}

// forward copies bytes until an end closes. Once stalled it discards them, and closes nothing.
func forward(to, from net.Conn, stalled *atomic.Bool) {
	defer func() {
		if !stalled.Load() {
			_ = to.Close()
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !stalled.Load() {
			_, _ = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
	}
}

// stall stalls the open connections without closing them. New ones are served.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, stalled := range p.open {
		stalled.Store(true)
	}
}

// cut closes the open connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for end := range p.open {
		_ = end.Close()
	}
	p.open = map[net.Conn]*atomic.Bool{}
}

// refuse makes the proxy close new connections at once, or serve them again.
func (p *proxy) refuse(yes bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closes = yes
}

// ignore makes the proxy accept new connections without responding.
func (p *proxy) ignore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ignores = true
}
