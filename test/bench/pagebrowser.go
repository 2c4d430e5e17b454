package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// openTabs is the number of open pages whose live streams are measured.
const openTabs = 100

// liveTabs measures what the live streams of open pages cost a server while nothing changes.
func (b *bench) liveTabs(ctx context.Context, p *past) (_ []figure, err error) {
	length := or(b, 30*time.Second, 15*time.Second)
	alone, _, err := p.quiet(ctx, length)
	if err != nil {
		return nil, err
	}
	conns, err := dialAll(ctx, p.server.Address, openTabs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll(conns)) }()
	for _, conn := range conns {
		if err := conn.Send(rig.Request("GET", "/api/live", p.server.Address, "Authorization: Bearer "+rig.AdminToken+"\r\nAccept: text/event-stream\r\n", nil)); err != nil {
			return nil, err
		}
	}
	if err := p.awaitStreams(ctx); err != nil {
		return nil, err
	}
	with, queries, err := p.quiet(ctx, length)
	if err != nil {
		return nil, err
	}
	b.logf("CPU of a core: %.2f %% alone, %.2f %% with %d streams", 100*alone, 100*with, openTabs)
	return []figure{
		{"live_cpu_100_tabs", 100 * max(with-alone, 0), "%", atMost(5)},
		{"live_queries_100_tabs", float64(queries), "queries", exactly(0)},
	}, nil
}

// awaitStreams waits until the server has all streams.
func (p *past) awaitStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		figures, err := p.server.Metrics(ctx)
		if err != nil {
			return err
		}
		if figures["watchbill_live_streams"] == openTabs {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%v of %d streams are open", figures["watchbill_live_streams"], openTabs)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// quiet returns the server's share of a core in a while without requests, and the number of queries of requests.
func (p *past) quiet(ctx context.Context, length time.Duration) (share float64, queries int64, err error) {
	before, err := requestQueries(ctx, p.server)
	if err != nil {
		return 0, 0, err
	}
	cpu, err := p.server.CPU()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(length):
	}
	end, err := p.server.CPU()
	if err != nil {
		return 0, 0, err
	}
	share = (end - cpu).Seconds() / time.Since(began).Seconds()
	after, err := requestQueries(ctx, p.server)
	for name, n := range after {
		queries += n - before[name]
	}
	return share, queries, err
}

// browse measures the page in Chromium, if the program contains it and Node.js and Chromium are installed.
func (b *bench) browse(ctx context.Context, p *past) ([]figure, error) {
	const script = "web/test/figures.mjs"
	for _, needed := range []string{"web/node_modules/playwright-core", "internal/page/dist/index.html.gz", script} {
		if _, err := os.Stat(filepath.FromSlash(needed)); err != nil {
			b.logf("the page is not measured in a browser: %v; make build builds it", err)
			return nil, nil
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		b.logf("the page is not measured in a browser: %v", err)
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, script)
	command.Env = append(os.Environ(), "WATCHBILL_URL="+p.server.URL, "ADMIN_TOKEN="+rig.AdminToken, fmt.Sprint("ROUNDS=", or(b, 8, 2)), fmt.Sprint("LOADS=", or(b, 7, 3)))
	command.Stderr = os.Stderr
	command.WaitDelay = 5 * time.Second
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", script, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var measured struct {
		FirstMillis float64 `json:"first_ms"`
		FirstKB     float64 `json:"first_kb"`
		ClickMillis float64 `json:"click_p95_ms"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &measured); err != nil {
		return nil, fmt.Errorf("%s printed %.200q: %w", script, lines[len(lines)-1], err)
	}
	return []figure{
		{"page_first_view_kb", measured.FirstKB, "kB", atMost(250)},
		{"page_first_view_ms", measured.FirstMillis, "ms", atMost(1000)},
		{"page_click_p95_ms", measured.ClickMillis, "ms", atMost(200)},
	}, nil
}
