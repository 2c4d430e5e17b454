package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

//go:embed cycle.sql
var bareCycle []byte

const cycleWorkers = 8

// deployCycles compares deployments that are created, claimed and finished one after the other with the same bare
// statements run by pgbench, in turns.
func deployCycles(ctx context.Context, b *bench) (_ []figure, err error) {
	agents := or(b, enrolled, 10_000)
	i, err := b.install(ctx, "cycles", agents)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	script := filepath.Join(i.dir, "cycle.sql")
	if err := os.WriteFile(script, bareCycle, 0o644); err != nil {
		return nil, err
	}
	length := or(b, 5*time.Second, 2*time.Second)
	var ours, bare, ratio []float64
	for round := range or(b, 6, 3) {
		product, err := i.cycle(ctx, length, round, agents)
		if err != nil {
			return nil, err
		}
		plain, err := i.pgbench(ctx, script, length, agents)
		if err != nil {
			return nil, err
		}
		b.logf("round %d: %.0f cycles a second, bare %.0f", round, product, plain)
		if round > 0 { // the first is a warm-up
			ours, bare, ratio = append(ours, product), append(bare, plain), append(ratio, product/plain)
		}
	}
	return []figure{
		{"deploy_cycles_per_s", median(ours), "1/s", aim{}},
		{"deploy_bare_cycles_per_s", median(bare), "1/s", aim{}},
		{"deploy_cycles_ratio", median(ratio), "ratio", atLeast(0.4)},
	}, nil
}

// cycle has workers create and finish deployments for a while, for agents spread over the fleet as pgbench's are, and
// returns the cycles per second.
func (i *installation) cycle(ctx context.Context, length time.Duration, round, agents int) (float64, error) {
	conns := make([]*rig.Conn, cycleWorkers)
	for w := range conns {
		var err error
		if conns[w], err = rig.Dial(ctx, i.server.Address); err != nil {
			return 0, err
		}
		defer conns[w].Close()
	}
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	counters := make([]int, cycleWorkers)
	result := rig.ClosedLoop(ctx, cycleWorkers, func(_ context.Context, worker int) error {
		counters[worker]++
		key := fmt.Sprintf("cycle-%d-%d-%d", round, worker, counters[worker])
		agent := (counters[worker]*cycleWorkers + worker) * 7919 % agents
		id, err := create(conns[worker], i.server.Address, agent, key)
		if err != nil {
			return err
		}
		return finish(conns[worker], i.server.Address, agent, id, 1)
	})
	return result.PerSecond(), result.First
}

// create creates a deployment and returns its id.
func create(conn *rig.Conn, address string, agent int, key string) (string, error) {
	response, err := conn.Do(creation(address, agent, key))
	if err != nil {
		return "", err
	}
	var made struct {
		Deployments []struct{ ID string }
	}
	if err := json.Unmarshal(response.Body, &made); err != nil || response.Status != http.StatusCreated || len(made.Deployments) != 1 {
		return "", fmt.Errorf("a deployment returned %d %s", response.Status, response.Body)
	}
	return made.Deployments[0].ID, nil
}

// creation returns the request for a deployment to one agent.
func creation(address string, agent int, key string) []byte {
	body := `{"agent_ids":["` + rig.AgentID(agent) + `"],"name":"bench","spec":{"image":"registry.example/app:` + strconv.Itoa(agent) + `"}}`
	return rig.Request("POST", "/api/deployments", address,
		"Authorization: Bearer "+rig.AdminToken+"\r\nIdempotency-Key: "+key+"\r\n", []byte(body))
}

// finish claims a deployment for its agent and reports its success.
func finish(conn *rig.Conn, address string, agent int, id string, attempt int) error {
	for _, status := range []string{"running", "succeeded"} {
		body := fmt.Sprintf(`{"status":%q,"attempt":%d,"claim":"bench-%s"}`, status, attempt, id)
		response, err := conn.Do(rig.Request("POST", "/api/deployments/"+id+"/status", address,
			"Authorization: Bearer "+rig.AgentToken(agent)+"\r\n", []byte(body)))
		if err != nil {
			return err
		}
		if response.Status != http.StatusOK {
			return fmt.Errorf("status %s returned %d %s", status, response.Status, response.Body)
		}
	}
	return nil
}

var transactionsPerSecond = regexp.MustCompile(`tps = ([0-9.]+) \(without initial connection time\)`)

// pgbench runs the bare statements for a while and returns the cycles per second.
func (i *installation) pgbench(ctx context.Context, script string, length time.Duration, agents int) (float64, error) {
	bin, err := rig.PostgresPrograms()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "pgbench"), "--no-vacuum", "--protocol=prepared", "--client="+strconv.Itoa(cycleWorkers),
		"--time="+strconv.Itoa(int(length.Seconds())), "--define=agents="+strconv.Itoa(agents), "--file="+script, i.url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	found := transactionsPerSecond.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench says no rate: %s", out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
