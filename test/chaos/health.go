package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/test/rig"
)

// How soon health must report that work fails, and that it succeeds again.
const (
	healthReportedWithin = 5 * time.Second
	healthyAgain         = 10 * time.Second
)

const smallDisk = 4 << 20 // bytes

// breakage is a fault that makes work fail while the database still responds.
type breakage struct {
	name string
	fix  func() error
	make func(ctx context.Context) error
}

var healthReported = newHealthFault()

func newHealthFault() experiment {
	var disks [replicas]*rig.Disk
	return experiment{
		name:  "health",
		what:  "what keeps work from succeeding while the database answers: health must tell, and tell when it is over",
		quick: true,
		where: func(*trial) setting {
			return setting{spools: func(ctx context.Context, t *trial, i int) (folder string, err error) {
				folder = filepath.Join(t.folder, fmt.Sprintf("small-disk-%d", i))
				switch disks[i], err = rig.MountDisk(ctx, folder, smallDisk); {
				case errors.Is(err, rig.ErrNoMounts):
					return filepath.Join(t.folder, fmt.Sprintf("spool-%d", i)), nil
				case err != nil:
					return "", err
				}
				t.ending(disks[i].Close)
				return filepath.Join(folder, "spool"), nil
			}}
		},
		strike: func(ctx context.Context, t *trial) error {
			all := databaseBreakages(ctx, t.direct)
			if disks[0] != nil {
				all = append(all, fullDisks(disks[:]))
			}
			if t.quick {
				all = all[:2]
			}
			t.mu.Lock()
			servers := t.servers
			t.mu.Unlock()
			wrong, err := t.breakAll(ctx, servers[:], all)
			if err != nil {
				return err
			}
			t.must("health_wrong", wrong, "breakages")
			if t.quick {
				return nil
			}
			return t.breakBaseline(ctx)
		},
	}
}

// breakBaseline does the same to the baseline version.
func (t *trial) breakBaseline(ctx context.Context) error {
	binary, err := rig.BuildBaseline(ctx, t.dir)
	if err != nil {
		return err
	}
	url, err := t.postgres.CreateDatabase(ctx, "chaos_health_before")
	if err != nil {
		return err
	}
	server, err := rig.Serve(ctx, rig.ServeOptions{Binary: binary, DatabaseURL: url, Dir: t.folder, Name: "baseline"})
	if err != nil {
		return err
	}
	wrong, err := t.breakAll(ctx, []*rig.Server{server}, databaseBreakages(ctx, url))
	t.found = append(t.found, figure{name: "health_wrong_before", value: float64(wrong), unit: "breakages"})
	return errors.Join(err, server.Kill())
}

// breakAll causes and fixes one breakage after the other, and returns how many were reported wrongly by some server's
// health.
func (t *trial) breakAll(ctx context.Context, servers []*rig.Server, all []breakage) (wrong int, err error) {
	for _, b := range all {
		if !healthBecomes(ctx, servers, 30*time.Second, func(h healthResponse) bool { return h.Status == "ok" }) {
			return wrong, fmt.Errorf("before %s: not every replica's health is ok", b.name)
		}
		began := time.Now()
		if err := b.make(ctx); err != nil {
			return wrong, fmt.Errorf("%s: %w", b.name, errors.Join(err, b.fix()))
		}
		degraded := healthBecomes(ctx, servers, healthReportedWithin, func(h healthResponse) bool { return h.Status == "degraded" && len(h.Reasons) > 0 })
		reportedAfter := time.Since(began)
		reasons := healthOf(ctx, servers[0]).Reasons
		if err := b.fix(); err != nil {
			return wrong, fmt.Errorf("fix %s: %w", b.name, err)
		}
		over := time.Now()
		well := healthBecomes(ctx, servers, healthyAgain, func(h healthResponse) bool { return h.Status == "ok" })
		t.logf("%s: %s: told %v after %.2f s (%s), well %v after %.2f s",
			t.name, b.name, degraded, reportedAfter.Seconds(), strings.Join(reasons, "; "), well, time.Since(over).Seconds())
		if !degraded || !well {
			wrong++
		}
	}
	return wrong, ctx.Err()
}

// databaseBreakages returns breakages of a database that still responds.
func databaseBreakages(ctx context.Context, url string) []breakage {
	ask := func(sql ...string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		for _, one := range sql {
			if _, err = conn.Exec(ctx, one); err != nil {
				break
			}
		}
		return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	statements := func(name string, makes, fixes []string) breakage {
		return breakage{name: name, make: func(context.Context) error { return ask(makes...) }, fix: func() error { return ask(fixes...) }}
	}
	return []breakage{
		statements("read-only", []string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"},
			[]string{"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"}),
		// New executions are copied in by the tables' owner, so this is a grant that commits need.
		statements("a revoked grant", []string{"REVOKE SELECT ON erasures FROM watchbill_writer"},
			[]string{"GRANT SELECT ON erasures TO watchbill_writer"}),
		lockedTable(url),
		statements("names that run out", []string{
			`INSERT INTO rollup_names (kind, name) SELECT 'agent', 'full ' || translate(n::text, '0123456789', 'ghijklmnop') FROM generate_series(1, 450) n`,
		}, []string{`DELETE FROM rollup_names WHERE name LIKE 'full %'`}),
	}
}

// lockedTable holds a lock on executions.
func lockedTable(url string) breakage {
	var conn *pgx.Conn
	return breakage{
		name: "a lock on executions",
		make: func(ctx context.Context) (err error) {
			if conn, err = pgx.Connect(ctx, url); err != nil {
				return err
			}
			_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE agent_executions")
			return err
		},
		fix: func() error {
			if conn == nil {
				return nil
			}
			return conn.Close(context.Background())
		},
	}
}

// fullDisks fills the spools' disks.
func fullDisks(disks []*rig.Disk) breakage {
	return breakage{
		name: "full spools",
		make: func(context.Context) error {
			var err error
			for _, disk := range disks {
				err = errors.Join(err, disk.Fill(0))
			}
			return err
		},
		fix: func() error {
			var err error
			for _, disk := range disks {
				err = errors.Join(err, disk.Free())
			}
			return err
		},
	}
}

type healthResponse struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons"`
}

// healthOf returns the health of a server. The status is empty if it does not respond.
func healthOf(ctx context.Context, server *rig.Server) (h healthResponse) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/health", nil)
	if err != nil {
		return healthResponse{Status: err.Error()}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return healthResponse{Status: err.Error()}
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&h); err != nil {
		return healthResponse{Status: err.Error()}
	}
	return h
}

// healthBecomes reports whether each server's health was as wanted at some time within the given duration.
func healthBecomes(ctx context.Context, servers []*rig.Server, within time.Duration, wanted func(healthResponse) bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	left := make(map[*rig.Server]bool, len(servers))
	for _, server := range servers {
		left[server] = true
	}
	return eventually(ctx, 100*time.Millisecond, func() bool {
		for server := range left {
			if wanted(healthOf(ctx, server)) {
				delete(left, server)
			}
		}
		return len(left) == 0
	})
}
