package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/test/rig"
)

// pollers are the connections of polling agents, one per worker.
type pollers struct {
	conns    []*rig.Conn
	requests [][]byte // by agent
}

// dialPollers connects to a server. Each request is an agent's poll with its last ETag.
func dialPollers(ctx context.Context, address string, workers, agents int, header string) (*pollers, error) {
	p := &pollers{requests: make([][]byte, agents)}
	for i := range agents {
		p.requests[i] = pollRequest(address, i, header)
	}
	for range workers {
		conn, err := rig.Dial(ctx, address)
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.conns = append(p.conns, conn)
		// The server closes a connection without a request.
		if response, err := conn.Do(rig.Request("GET", "/livez", address, "", nil)); err != nil || response.Status >= http.StatusInternalServerError {
			return nil, errors.Join(fmt.Errorf("/livez returned %d", response.Status), err, p.close())
		}
	}
	return p, nil
}

func pollRequest(address string, agent int, header string) []byte {
	return rig.Request("GET", "/api/deployments/pending/"+rig.AgentID(agent), address, "Authorization: Bearer "+rig.AgentToken(agent)+"\r\n"+header, nil)
}

func (p *pollers) close() error {
	var errs []error
	for _, conn := range p.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// poll sends the n-th poll over a worker's connection. Agents take turns.
func (p *pollers) poll(worker int, n int64) (rig.Response, error) {
	// A prime step, so that consecutive polls do not use adjacent memory.
	response, err := p.conns[worker].Do(p.requests[(n*7919)%int64(len(p.requests))])
	if err == nil && response.Status != http.StatusOK && response.Status != http.StatusNotModified {
		err = fmt.Errorf("a poll returned %d %s", response.Status, response.Body)
	}
	return response, err
}

// flood polls without pauses.
func (p *pollers) flood(ctx context.Context, length time.Duration) (*rig.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	counters := make([]int64, len(p.conns))
	result := rig.ClosedLoop(ctx, len(p.conns), func(_ context.Context, worker int) error {
		counters[worker]++
		_, err := p.poll(worker, counters[worker]*int64(len(p.conns))+int64(worker))
		return err
	})
	return result, result.First
}

const (
	enrolled     = 100_000
	floodWorkers = 32
)

// nothingNew is the header line of agents whose last poll found nothing pending.
var nothingNew = "If-None-Match: " + fleet.NothingWaiting + "\r\n"

// idlePolls compares polls that find nothing with the bare handler, in turns.
func idlePolls(ctx context.Context, b *bench) (_ []figure, err error) {
	i, err := b.install(ctx, "polls", or(b, enrolled, 10_000))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	ours, bare, err := b.idleAndBare(ctx, i)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.close(), bare.close()) }()

	pairs, err := b.inTurns(ctx, ours, bare)
	if err != nil {
		return nil, err
	}
	queries, err := b.queriesOfPolls(ctx, i, ours.pollers)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"poll_idle_per_s", median(pairs.ours), "1/s", aim{}},
		{"poll_bare_per_s", median(pairs.bare), "1/s", aim{}},
		{"poll_idle_ratio", median(pairs.ratio), "ratio", atLeast(0.8)},
		{"poll_idle_cpu_ratio", median(pairs.cpu), "ratio", atMost(1.4)},
		{"poll_idle_queries", float64(queries), "queries", exactly(0)},
	}, nil
}

// contender is a server with its pollers.
type contender struct {
	*pollers
	process *rig.Process
}

func (c *contender) close() error { return errors.Join(c.pollers.close(), c.process.Close()) }

// measure floods a contender for a while and returns its polls per second and the CPU seconds of its process per poll.
func (c *contender) measure(ctx context.Context, length time.Duration) (rate, cost float64, err error) {
	before, err := c.process.CPU()
	if err != nil {
		return 0, 0, err
	}
	result, err := c.flood(ctx, length)
	if err != nil {
		return 0, 0, err
	}
	after, err := c.process.CPU()
	return result.PerSecond(), (after - before).Seconds() / float64(result.Count), err
}

// idleAndBare returns Watchbill's server, and a bare one with responses of the same size.
func (b *bench) idleAndBare(ctx context.Context, i *installation) (ours, bare *contender, err error) {
	agents := or(b, enrolled, 10_000)
	ours = &contender{process: i.server.Process}
	if ours.pollers, err = dialPollers(ctx, i.server.Address, floodWorkers, agents, nothingNew); err != nil {
		return nil, nil, err
	}
	idle, err := ours.poll(0, 0)
	if err != nil {
		return nil, nil, err
	}
	bareProcess, address, err := b.startBare(ctx, i.dir, idle)
	if err != nil {
		return nil, nil, errors.Join(err, ours.pollers.close())
	}
	bare = &contender{process: bareProcess}
	if bare.pollers, err = dialPollers(ctx, address, floodWorkers, agents, nothingNew); err != nil {
		return nil, nil, errors.Join(err, ours.pollers.close(), bareProcess.Close())
	}
	plain, err := bare.poll(0, 0)
	if err == nil && plain.Bytes != idle.Bytes {
		err = fmt.Errorf("an idle poll returned %d bytes, the bare handler answers with %d", idle.Bytes, plain.Bytes)
	}
	if err != nil {
		return nil, nil, errors.Join(err, ours.pollers.close(), bare.close())
	}
	b.logf("an idle poll returned status %d and %d bytes", idle.Status, idle.Bytes)
	return ours, bare, nil
}

// startBare starts a bare server with responses of the size of like.
func (b *bench) startBare(ctx context.Context, dir string, like rig.Response) (*rig.Process, string, error) {
	program, err := rig.Build(ctx, b.dir, "./test/bench/bare")
	if err != nil {
		return nil, "", err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, "", err
	}
	// The status line, Date and what net/http adds are the same; the rest is padded.
	const itself = len("HTTP/1.1 304 Not Modified\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n")
	filler := like.Bytes - itself - len("Etag: \r\n") - len(fleet.NothingWaiting) - len("X-Filler: \r\n")
	process, err := rig.Start(ctx, rig.Command{
		Path: program, Args: []string{address, "0", "Etag=" + fleet.NothingWaiting, "X-Filler=" + strings.Repeat("x", max(filler, 0))},
		Dir: dir, Log: filepath.Join(dir, "bare.log"),
	})
	if err != nil {
		return nil, "", err
	}
	return process, address, rig.AwaitListening(ctx, address, process)
}

// turns holds the figures of rounds.
type turns struct{ ours, bare, ratio, cpu []float64 }

// inTurns floods both contenders for some rounds each, after a warm-up round.
func (b *bench) inTurns(ctx context.Context, ours, bare *contender) (t turns, err error) {
	length := or(b, 4*time.Second, time.Second)
	for round := range or(b, 8, 4) {
		var rates, costs [2]float64
		sides := []int{0, 1}
		if round%2 == 1 {
			slices.Reverse(sides) // the second has a warmer machine
		}
		for _, side := range sides {
			if rates[side], costs[side], err = []*contender{ours, bare}[side].measure(ctx, length); err != nil {
				return t, err
			}
		}
		b.logf("round %d: %.0f polls a second, bare %.0f; server CPU a poll %.1f µs, bare %.1f µs", round, rates[0], rates[1], costs[0]*1e6, costs[1]*1e6)
		if round == 0 {
			continue
		}
		t.ours, t.bare = append(t.ours, rates[0]), append(t.bare, rates[1])
		t.ratio, t.cpu = append(t.ratio, rates[0]/rates[1]), append(t.cpu, costs[0]/costs[1])
	}
	return t, nil
}

// queriesOfPolls counts the queries of 10,000 idle polls by the server's own metric, except its background queries.
// Polls that find work verify that queries of polls are counted at all.
func (b *bench) queriesOfPolls(ctx context.Context, i *installation, p *pollers) (int64, error) {
	const polls = 10_000
	count := func() (queries int64, err error) {
		before, err := requestQueries(ctx, i.server)
		if err != nil {
			return 0, err
		}
		for n := range int64(polls) {
			if _, err := p.poll(0, n); err != nil {
				return 0, err
			}
		}
		after, err := requestQueries(ctx, i.server)
		for name, n := range after {
			if n > before[name] {
				b.logf("%s was run %d times", name, n-before[name])
				queries += n - before[name]
			}
		}
		return queries, err
	}
	queries, err := count()
	if err != nil {
		return 0, err
	}
	if err := createDeployment(ctx, i.server, 0); err != nil {
		return 0, err
	}
	control, err := count()
	if err == nil && control == 0 {
		err = errors.New("polls that find work run no query either: the measurement is wrong")
	}
	b.logf("%d idle polls ran %d queries; with one agent that has work they ran %d", polls, queries, control)
	return queries, err
}

// background matches the queries that a replica runs by itself and the statements around their transactions: sweeps,
// presence, measurements, health probes, metrics that are updated once a minute, expired leases, settling, folding and
// retention. A poll runs none of them. It must not match queries of requests, such as LockDeployment.
var background = regexp.MustCompile(`query="(begin|commit|set|Sweep|Hint|SavePresence|SampleFleet|CountDeployments|Now|ReadExecutionSpend|` +
	`Save\w+Rollups?|ExecutionRollupsByKey|Take\w+|Lock(ExpiredDeployments|Folding|Compaction)|TryFolding|FoldUserDeltas|CountDeltas|CountContents|Compact\w+|Drop\w+|TryIndexingPartitions|MissingIndexes|BuildIndex|AttachIndex|` +
	`OldestMinute|LatestFleetRollup|AverageFleetRollups|SumReplicaRollups|Probe\w+|BecomeWriter|copy \w+|OldestTransaction|RollupNames|` +
	`MarkReplica|EndedSessions|SessionKeys|DatabaseLife|Forget\w+|SchemaVersion)"`)

// requestQueries returns how often the server has run each query of requests.
func requestQueries(ctx context.Context, s *rig.Server) (map[string]int64, error) {
	figures, err := s.Metrics(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for series, value := range figures {
		if strings.HasPrefix(series, "watchbill_db_query_duration_seconds_count{") && !background.MatchString(series) {
			counts[series] = int64(value)
		}
	}
	return counts, nil
}

// createDeployment creates a deployment for an agent.
func createDeployment(ctx context.Context, s *rig.Server, agent int) error {
	conn, err := rig.Dial(ctx, s.Address)
	if err != nil {
		return err
	}
	_, err = create(conn, s.Address, agent, "one")
	return errors.Join(err, conn.Close())
}
