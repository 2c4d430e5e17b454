package rig

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Balancer is a Proxy to several servers that works like a Kubernetes Service: a new connection goes to the next server
// that is ready, and existing connections stay where they are.
type Balancer struct {
	*Proxy
	servers []string
	every   time.Duration
	client  *http.Client
	asking  sync.WaitGroup

	mu    sync.Mutex
	ready map[string]bool
	next  int
}

var errNoneReady = errors.New("no server is ready")

// NewBalancer listens on a free port of loopback and forwards to servers, each host:port. A server is ready if GET
// /readyz returns 200, which is checked at the given interval. The caller must call Close.
func NewBalancer(every time.Duration, servers ...string) (*Balancer, error) {
	b := &Balancer{
		servers: servers, every: every, ready: map[string]bool{},
		client: &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	var err error
	if b.Proxy, err = newProxy(b.connect); err != nil {
		return nil, err
	}
	for _, server := range servers {
		b.ask(server)
		b.asking.Go(func() { b.watch(server) })
	}
	return b, nil
}

// Ready returns how many servers were ready at their last check.
func (b *Balancer) Ready() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, ready := range b.ready {
		if ready {
			n++
		}
	}
	return n
}

// Close closes the balancer and all its connections, and waits for its goroutines.
func (b *Balancer) Close() error {
	err := b.Proxy.Close()
	b.asking.Wait()
	return err
}

func (b *Balancer) watch(server string) {
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.ask(server)
		case <-b.ctx.Done():
			return
		}
	}
}

func (b *Balancer) ask(server string) {
	ready := b.isReady(server)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready[server] = ready
}

func (b *Balancer) isReady(server string) bool {
	r, err := http.NewRequestWithContext(b.ctx, http.MethodGet, "http://"+server+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := b.client.Do(r)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// connect connects to the next server that is ready. It skips servers that reject the connection.
func (b *Balancer) connect(ctx context.Context) (net.Conn, error) {
	err := errNoneReady
	for range b.servers {
		server, ok := b.turn()
		if !ok {
			break
		}
		conn, dialErr := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", server)
		if dialErr == nil {
			return conn, nil
		}
		err = errors.Join(err, dialErr)
	}
	return nil, err
}

func (b *Balancer) turn() (server string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.servers {
		b.next++
		if server = b.servers[b.next%len(b.servers)]; b.ready[server] {
			return server, true
		}
	}
	return "", false
}
