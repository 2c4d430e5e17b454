package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

const (
	proxiedAgents = 20
	askProxyEach  = 500 * time.Millisecond
)

// defaultsOf holds configurations that only name the replicas. Everything else has the proxies' or Debian's defaults.
var defaultsOf = map[string]string{
	"nginx": `upstream watchbill { server %[2]s; server %[3]s; }
server { listen %[1]s; location / { proxy_pass http://watchbill; } }`,
	"haproxy": `frontend watchbill
	bind %[1]s
	default_backend watchbill
backend watchbill
	balance roundrobin
	server a %[2]s
	server b %[3]s`,
}

var behindProxies = experiment{
	name: "proxies", quick: true,
	what: "nginx and HAProxy with their defaults before two replicas, agents that hold polls as long as they may, and a replica's restart",
	alone: func(ctx context.Context, t *trial) error {
		long, short := t.soakFor, min(t.soakFor, 3*time.Minute)
		if t.quick {
			long, short = 5*time.Second, 5*time.Second
		}
		failed := 0
		for _, stage := range []struct {
			proxy string
			takes time.Duration
		}{{"nginx", long}, {"haproxy", short}} {
			n, err := t.behind(ctx, stage.proxy, "", t.binary, stage.takes)
			if err != nil {
				return err
			}
			failed += n
		}
		t.must("proxy_requests_failed", failed, "requests")
		if t.quick {
			return nil
		}
		baseline, err := rig.BuildBaseline(ctx, t.dir)
		if err != nil {
			return err
		}
		before, err := t.behind(ctx, "nginx", "_before", baseline, short)
		if err != nil {
			return err
		}
		t.set("proxy_requests_failed_before", float64(before), "requests")
		return nil
	},
}

// proxied is a proxy in front of two replicas, with the results of its clients.
type proxied struct {
	t       *trial
	url     string
	servers [replicas]*rig.Server

	mu            sync.Mutex
	asked, failed int
	reasons       map[string]int
}

// behind runs agents and a client against two replicas through a proxy, and returns the number of failed requests.
func (t *trial) behind(ctx context.Context, proxy, suffix, binary string, takes time.Duration) (failed int, err error) {
	p := &proxied{t: t, reasons: map[string]int{}}
	folder := filepath.Join(t.folder, proxy+suffix)
	address, err := rig.FreeAddress(ctx)
	if err != nil {
		return 0, err
	}
	p.url = "http://" + address
	restart, closeServers, err := p.serve(ctx, binary, "chaos_proxies_"+proxy+suffix)
	defer func() { err = errors.Join(err, closeServers()) }()
	if err != nil {
		return 0, err
	}
	program, err := rig.WebProxyNamed(proxy)
	if err != nil {
		return 0, err
	}
	configuration := fmt.Sprintf(defaultsOf[proxy], address, p.servers[0].Address, p.servers[1].Address)
	process, err := program.Start(ctx, folder, address, configuration)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, process.Close()) }()

	asking, stop := context.WithCancel(ctx)
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	for i := range proxiedAgents {
		a, err := p.agent(i)
		if err != nil {
			return 0, err
		}
		clients.Go(func() {
			if err := a.Run(asking); err != nil {
				p.note(fmt.Sprintf("agent %d gave up: %v", i, err))
			}
		})
	}
	clients.Go(func() { p.askAll(asking) })
	if !pause.For(ctx, takes/2) {
		return 0, ctx.Err()
	}
	if err := restart(ctx); err != nil {
		return 0, err
	}
	if !pause.For(ctx, takes/2) {
		return 0, ctx.Err()
	}
	stop()
	clients.Wait()
	t.logf("%s: %s%s: %d of %d requests failed in %s: %v", t.name, proxy, suffix, p.failed, p.asked, takes, p.reasons)
	if p.asked < proxiedAgents {
		return 0, fmt.Errorf("only %d requests were made through %s", p.asked, proxy)
	}
	return p.failed, nil
}

// serve starts the replicas. restart restarts the first as in a rollout.
func (p *proxied) serve(ctx context.Context, binary, database string) (restart func(context.Context) error, closeAll func() error, err error) {
	closeAll = func() (err error) {
		for _, server := range p.servers {
			if server != nil {
				err = errors.Join(err, server.Close())
			}
		}
		return err
	}
	url, err := p.t.createDatabase(ctx, database)
	if err != nil {
		return nil, closeAll, err
	}
	start := func(ctx context.Context, i int, address string) (err error) {
		p.servers[i], err = rig.Serve(ctx, rig.ServeOptions{
			Binary: binary, DatabaseURL: url, Dir: p.t.folder, Name: fmt.Sprintf("%s-%d", database, i), Address: address,
			Args: []string{"--shutdown-delay", "2s"},
		})
		return err
	}
	for i := range replicas {
		if err := start(ctx, i, ""); err != nil {
			return nil, closeAll, err
		}
	}
	restart = func(ctx context.Context) error {
		address := p.servers[0].Address
		if err := p.servers[0].Close(); err != nil {
			return err
		}
		return start(ctx, 0, address)
	}
	return restart, closeAll, rig.SeedAgents(ctx, url, 0, proxiedAgents+1)
}

// agent returns a real agent. It gets no work, so that its polls are held to their end.
func (p *proxied) agent(i int) (*agent.Agent, error) {
	draw := locked(p.t.random(fmt.Sprintf("proxied agent %d", i)))
	return agent.New(agent.Config{
		Server: p.url, ID: rig.AgentID(i), Token: rig.AgentToken(i), Wait: agent.MaxWait,
		Runner:     agent.RunnerFunc(func(context.Context, agent.Work, io.Writer) error { return nil }),
		HTTPClient: &http.Client{Transport: noting{p, &http.Transport{}}},
		Logger:     zap.NewNop(), Now: time.Now, Jitter: draw, NewClaim: func() string { return fmt.Sprint(draw()) },
	})
}

// askAll sends other requests: it creates a deployment, lists, and reads the health, in turn.
func (p *proxied) askAll(ctx context.Context) {
	client := &http.Client{Transport: noting{p, &http.Transport{}}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	create := `{"agent_ids":["` + rig.AgentID(proxiedAgents) + `"],"name":"proxied","spec":{}}`
	for i := 0; pause.For(ctx, askProxyEach); i++ {
		method, path, body := http.MethodPost, "/api/deployments", create
		switch i % 3 {
		case 1:
			method, path, body = http.MethodGet, "/api/agents", ""
		case 2:
			method, path, body = http.MethodGet, "/api/health", ""
		}
		request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), method, p.url+path, strings.NewReader(body))
		if err != nil {
			p.note(err.Error())
			return
		}
		request.Header.Set("Authorization", "Bearer "+rig.AdminToken)
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			continue // already recorded
		}
		_ = response.Body.Close()
	}
}

func (p *proxied) note(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
	p.reasons[reason]++
}

// noting is a transport that records failures, except those caused by its client.
type noting struct {
	p    *proxied
	next http.RoundTripper
}

func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := n.next.RoundTrip(r)
	if r.Context().Err() != nil && err != nil {
		return response, err
	}
	n.p.mu.Lock()
	n.p.asked++
	n.p.mu.Unlock()
	switch {
	case err != nil:
		n.p.note(r.Method + ": " + err.Error())
	case response.StatusCode >= http.StatusBadRequest:
		n.p.note(r.Method + " " + response.Status)
	}
	return response, err
}
