package history

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/dev/simulation"
	"github.com/watchbill/watchbill/internal/fleet"
)

// strayInterval is the poll interval of agents that do not run any more. It is the longest, so that some of them are
// online and late for a while.
const strayInterval = time.Hour

// strays are agents of the history that do not run, with the time since they were seen last. The last one never was.
var strays = []struct {
	id   string
	seen time.Duration
}{
	{"edge-berlin", 10 * time.Minute},
	{"edge-lyon", 20 * time.Minute},
	{"edge-osaka", 2 * time.Hour},
	{"edge-quito", 150 * time.Minute},
	{"edge-oslo", 9 * time.Hour},
	{"edge-perth", 4 * 24 * time.Hour},
	{"edge-lima", 0},
}

// refreshPresence moves the times at which the strays were seen last, so that they are in the same states as at first.
func refreshPresence(ctx context.Context, conn *pgx.Conn) error {
	for _, s := range strays {
		if s.seen == 0 {
			continue
		}
		if _, err := conn.Exec(ctx, `UPDATE agent_presence SET last_seen_at = now() - $2::float8 * interval '1 second' WHERE agent_id = $1`, s.id, s.seen.Seconds()); err != nil {
			return fmt.Errorf("refresh the presence of %s: %w", s.id, err)
		}
	}
	return nil
}

// writeFleet stores the agents and their deployments and returns the number of these.
func (w *writer) writeFleet(ctx context.Context, tx pgx.Tx) (int, error) {
	if w.plan.fleet {
		return 0, nil
	}
	ids, err := w.writeAgents(ctx, tx)
	if err != nil {
		return 0, err
	}
	d := deployments{plan: w.plan, agents: ids}
	d.make(w.opts.KeepFleet.Deployments)
	for _, table := range []struct {
		name, columns string
		rows          [][]any
	}{
		{"deployments", "id, agent_id, group_id, name, spec, status, attempt, claim, max_attempts, lease_seconds, available_at, progress, message, output, created_at, started_at, finished_at", d.rows},
		{"deployment_attempts", "deployment_id, attempt, claim, status, progress, message, output, started_at, finished_at", d.attempts},
		{"deployment_logs", "deployment_id, attempt, start_offset, chunk", d.logs},
	} {
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{table.name}, strings.Split(table.columns, ", "), pgx.CopyFromRows(table.rows)); err != nil {
			return 0, fmt.Errorf("%s: %w", table.name, err)
		}
	}
	return len(d.rows), nil
}

// writeAgents stores the agents that do not exist, and returns the ids of those that deployments are for. Nobody knows
// their tokens: the simulated fleet gets new ones.
func (w *writer) writeAgents(ctx context.Context, tx pgx.Tx) ([]string, error) {
	const insert = `INSERT INTO agents (id, name, labels, token_hash, poll_interval_seconds, version, registered_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`
	hash := func() []byte {
		b := make([]byte, 32)
		_, _ = rand.Read(b) // never fails: it ends the program instead
		return b
	}
	r := w.plan.random("agents", 0)
	enrolled := func() time.Time { // within the first tenth of the history
		return w.plan.from.Add(time.Duration(r.Int64N(int64(w.plan.to.Sub(w.plan.from)/10) + 1)))
	}
	var ids []string
	for i := range w.opts.Agents {
		id, name, labels := simulation.Identity(i)
		if _, err := tx.Exec(ctx, insert, id, name, labels, hash(), 10, simulation.Version, enrolled()); err != nil {
			return nil, fmt.Errorf("agent %s: %w", id, err)
		}
		ids = append(ids, id)
	}
	for _, s := range strays {
		labels := map[string]string{"region": "edge", "simulated": "false"}
		if _, err := tx.Exec(ctx, insert, s.id, "Former "+s.id, labels, hash(), int(strayInterval/time.Second), "1.4.2", enrolled()); err != nil {
			return nil, fmt.Errorf("agent %s: %w", s.id, err)
		}
		if s.seen == 0 {
			continue
		}
		ids = append(ids, s.id)
		_, err := tx.Exec(ctx, `INSERT INTO agent_presence (agent_id, last_seen_at, interval_seconds) VALUES ($1, now() - $2::float8 * interval '1 second', $3) ON CONFLICT DO NOTHING`,
			s.id, s.seen.Seconds(), strayInterval.Seconds())
		if err != nil {
			return nil, fmt.Errorf("presence of %s: %w", s.id, err)
		}
	}
	return ids, nil
}

// deployments makes rows of finished deployments.
type deployments struct {
	plan                 plan
	agents               []string
	rows, attempts, logs [][]any
	r                    *mathrand.Rand
}

const (
	deploymentsADay = 18
	maxDeployments  = 5000
	maxAttempts     = 3
)

// make makes the deployments of the time that they are kept for.
func (d *deployments) make(keep time.Duration) {
	d.r = d.plan.random("deployments", 0)
	for _, s := range d.plan.slots() {
		if s.from.Before(d.plan.to.Add(time.Hour - keep)) {
			continue // the next clean-up would delete it
		}
		// As many as executions come, with the rest by chance.
		n := d.plan.rhythm(s.from) * deploymentsADay / 12
		for n > d.r.Float64() && len(d.rows) < maxDeployments {
			n--
			at := s.from.Add(time.Duration(d.r.Int64N(int64(s.to.Sub(s.from)))))
			if at.Before(d.plan.to.Add(-20 * time.Minute)) { // it is to be over
				d.rollout(at)
			}
		}
	}
}

var applications = []string{"gateway", "indexer", "notes-api", "page", "scheduler"}

// rollout makes a group of deployments: mostly for one agent, sometimes for several.
func (d *deployments) rollout(at time.Time) {
	group := idAt(d.r, at)
	targets := []string{d.agents[d.r.IntN(len(d.agents))]}
	if d.r.IntN(6) == 0 {
		targets = slices.Clone(d.agents)
		d.r.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
		targets = targets[:min(len(targets), 6)]
	}
	application := applications[d.r.IntN(len(applications))]
	version := fmt.Sprintf("%d.%d.%d", 1, int(40*d.plan.progress(at)), d.r.IntN(5))
	spec, _ := json.Marshal(map[string]any{"image": "registry.example/" + application + ":" + version, "replicas": 1 + d.r.IntN(3)}) // cannot fail
	for _, agent := range targets {
		d.deployment(at, group, agent, application+" "+version, spec)
	}
}

// faults are messages of failed attempts.
var faults = []string{
	"the image could not be pulled: manifest unknown",
	"the health check failed: connection refused",
	"the disk is full",
	"exit status 137: the process was killed for its memory",
}

// deployment makes a deployment that has ended.
func (d *deployments) deployment(at time.Time, group uuid.UUID, agent, name string, spec json.RawMessage) {
	id := idAt(d.r, at)
	if d.r.IntN(60) == 0 {
		end := at.Add(time.Duration(1+d.r.IntN(8)) * time.Second)
		d.rows = append(d.rows, []any{id, agent, group, name, spec, fleet.Cancelled, 1, nil, maxAttempts, 300, at, nil, nil, nil, at, nil, end})
		return
	}
	start := at.Add(time.Duration(d.r.ExpFloat64() * float64(6*time.Second)))
	failing := 0.08
	for attempt := 1; ; attempt++ {
		took := 3*time.Second + time.Duration(d.r.ExpFloat64()*float64(15*time.Second))
		status, message, output, progress := fleet.Succeeded, "", "deployed "+name, 100.0
		if d.r.Float64() < failing {
			status, message, output, progress = fleet.Failed, faults[d.r.IntN(len(faults))], "", float64(10*d.r.IntN(9))
			if d.r.IntN(6) == 0 {
				status, message, took = fleet.TimedOut, "the lease expired without a report", 5*time.Minute
			}
			failing = 0.5 // the next attempt often fails like the last one
		}
		end, claim := start.Add(took), fmt.Sprintf("history-%016x", d.r.Uint64())
		d.log(id, attempt, name, message, progress)
		if status == fleet.Succeeded || attempt == maxAttempts {
			d.rows = append(d.rows, []any{
				id, agent, group, name, spec, status, attempt, claim, maxAttempts, 300, at, progress, optional(message), optional(output), at, start, end,
			})
			return
		}
		d.attempts = append(d.attempts, []any{id, attempt, claim, status, progress, optional(message), optional(output), start, end})
		start = end.Add(10 * time.Second << attempt)
	}
}

// log makes an attempt's log.
func (d *deployments) log(id uuid.UUID, attempt int, name, message string, progress float64) {
	var b strings.Builder
	fmt.Fprintf(&b, "deploying %s, attempt %d\n", name, attempt)
	for at := 10; at <= int(progress); at += 10 {
		fmt.Fprintf(&b, "step %d of 10 done\n", at/10)
	}
	if message != "" {
		fmt.Fprintf(&b, "error: %s\n", message)
	} else {
		b.WriteString("done\n")
	}
	d.logs = append(d.logs, []any{id, attempt, 0, []byte(b.String())})
}

// optional returns nil for an empty string.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
