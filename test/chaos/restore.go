package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// recoverWithin limits the time until each replica reflects the restored database, and baselineWithin that of the
// baseline.
const (
	recoverWithin  = 30 * time.Second
	baselineWithin = 60 * time.Second
)

var restored = experiment{
	name: "restore", quick: true,
	what: "the database dropped and restored under replicas that run, restored into another server, and changed by hand",
	alone: func(ctx context.Context, t *trial) error {
		t.folder = filepath.Join(t.dir, t.name)
		took, wrong, err := t.restoreAll(ctx, t.binary, recoverWithin)
		if err != nil {
			return err
		}
		t.found = append(t.found,
			figure{name: "restore_recover_seconds", value: took.Seconds(), unit: "s"},
			figure{name: "restore_wrong_answers_after", value: float64(wrong), unit: "answers", exact: true})
		if t.quick {
			return nil
		}
		baseline, err := rig.BuildBaseline(ctx, t.dir)
		if err != nil {
			return err
		}
		t.folder = filepath.Join(t.dir, t.name+"-before")
		if took, wrong, err = t.restoreAll(ctx, baseline, baselineWithin); err != nil {
			return err
		}
		t.found = append(t.found,
			figure{name: "restore_recover_seconds_before", value: took.Seconds(), unit: "s"},
			figure{name: "restore_wrong_answers_after_before", value: float64(wrong), unit: "answers"})
		return nil
	},
}

// restoration is a service whose database is restored.
type restoration struct {
	*trial
	postgres *rig.Postgres
	binary   string
	within   time.Duration
	pause    time.Duration // between sections of the dump
	dump     string
	truth    truth
	worker   *rig.Process // the reference agent
	round    int
}

const restoredDatabase = "watchbill"

// restoreAll runs all of it with one version of the service. It returns the longest time until every response was
// right, at most within, and the number of wrong responses after that.
func (t *trial) restoreAll(ctx context.Context, binary string, within time.Duration) (took time.Duration, wrong int, err error) {
	r := &restoration{trial: t, binary: binary, within: within, pause: 2 * time.Second}
	if t.quick {
		r.pause = 600 * time.Millisecond
	}
	if err := r.begin(ctx); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.end()) }()
	cases := []struct {
		name    string
		restore func(context.Context) error
	}{
		{"into the same server", r.dropAndRestore},
		{"into another server", r.replaceAndRestore},
		{"by hand", r.changeByHand},
	}
	if t.quick {
		cases = []struct {
			name    string
			restore func(context.Context) error
		}{cases[0], cases[2]}
	}
	for _, c := range cases {
		if err := r.diverge(ctx); err != nil && binary == t.binary {
			return 0, 0, fmt.Errorf("%s: %w", c.name, err)
		} else if err != nil { // it has not recovered from the previous restore
			t.logf("%s: %s, %s: left out: %v", t.name, filepath.Base(binary), c.name, err)
			took = within
			continue
		}
		if err := c.restore(ctx); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", c.name, err)
		}
		recovered, after, last := r.observe(ctx, time.Now())
		t.logf("%s: %s, %s: right after %.2f s, %d wrong answers then; last wrong: %s", t.name, filepath.Base(binary), c.name, recovered.Seconds(), after, last)
		took, wrong = max(took, recovered), wrong+after
		if ctx.Err() != nil {
			return 0, 0, ctx.Err()
		}
	}
	return took, wrong, nil
}

// begin starts the service, enrolls the agents and dumps the database.
func (r *restoration) begin(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return err
	}
	r.postgres, err = rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(r.folder, "postgres"), Programs: r.programs})
	if err != nil {
		return err
	}
	r.ending(r.postgres.Close)
	if r.service, err = r.postgres.CreateDatabase(ctx, restoredDatabase); err != nil {
		return err
	}
	r.direct = r.service
	var servers [replicas]*rig.Server
	for i := range servers {
		servers[i], err = rig.Serve(ctx, rig.ServeOptions{
			Binary: r.binary, DatabaseURL: r.service, Dir: r.folder, Name: "replica-" + strconv.Itoa(i),
		})
		if err != nil {
			return err
		}
		r.ending(servers[i].Close)
	}
	r.truth = newTruth(r, servers)
	if err := r.truth.enrolAll(ctx); err != nil {
		return err
	}
	token := filepath.Join(r.folder, "token")
	if err := os.WriteFile(token, []byte(r.truth.tokens["worker"]), 0o600); err != nil {
		return err
	}
	r.worker, err = rig.Start(ctx, rig.Command{
		Path: r.binary, Dir: r.folder, Log: filepath.Join(r.folder, "agent.log"),
		Args: []string{"agent", "--server", servers[0].URL, "--id", "worker", "--token-file", token, "--exec", "true"},
	})
	if err != nil {
		return err
	}
	r.ending(r.worker.Close)
	r.dump = filepath.Join(r.postgres.Dir, "dump")
	return r.postgres.Run(ctx, "pg_dump", "--format=custom", "--file="+r.dump, "--dbname="+r.service)
}

// end stops what begin started, before the trial's end.
func (r *restoration) end() error {
	err := r.close()
	r.endings = nil
	return err
}

// diverge makes changes after the dump that the restored database will not have.
func (r *restoration) diverge(ctx context.Context) error {
	r.round++
	return r.truth.diverge(ctx)
}

func (r *restoration) dropAndRestore(ctx context.Context) error {
	if err := r.sql(ctx, "postgres", `DROP DATABASE `+restoredDatabase+` WITH (FORCE)`, `CREATE DATABASE `+restoredDatabase); err != nil {
		return err
	}
	return r.restoreSections(ctx)
}

func (r *restoration) replaceAndRestore(ctx context.Context) error {
	if err := r.postgres.Replace(ctx); err != nil {
		return err
	}
	err := r.sql(ctx, "postgres", `CREATE DATABASE `+restoredDatabase,
		`CREATE ROLE watchbill_writer`, `CREATE ROLE watchbill_admin`, `CREATE ROLE watchbill_user`)
	if err != nil {
		return err
	}
	return r.restoreSections(ctx)
}

// restoreSections restores with pauses, which represent the time that a larger database takes.
func (r *restoration) restoreSections(ctx context.Context) error {
	for i, section := range []string{"pre-data", "data", "post-data"} {
		if i > 0 && !pause.For(ctx, r.pause) {
			return ctx.Err()
		}
		if err := r.postgres.Run(ctx, "pg_restore", "--section="+section, "--exit-on-error", "--dbname="+r.service, r.dump); err != nil {
			return err
		}
	}
	return nil
}

// changeByHand changes the current database to the dump's contents, and a little more, in ways that the service does
// not use.
func (r *restoration) changeByHand(ctx context.Context) error {
	statements := []string{
		`SET session_replication_role = replica; INSERT INTO agents (id, name, token_hash, poll_interval_seconds, changed_xid)
			VALUES ('gone', '', sha256('` + r.truth.tokens["gone"] + `'), 10, '3'); SET session_replication_role = origin`,
		`DELETE FROM agents WHERE id LIKE 'new%'`,
		`UPDATE agents SET token_hash = sha256('` + r.truth.tokens["rotated"] + `') WHERE id = 'rotated'`,
		`UPDATE deployments SET status = 'pending', finished_at = NULL, changed_xid = '3' WHERE agent_id = 'pending' AND name = 'before'`,
	}
	if !r.quick { // it takes up to 15 s to be noticed
		statements = append(statements, `DELETE FROM rollup_names WHERE name LIKE 'later%'`)
	}
	return r.sql(ctx, restoredDatabase, statements...)
}

func (r *restoration) sql(ctx context.Context, database string, statements ...string) (err error) {
	conn, err := pgx.Connect(ctx, r.postgres.URL(database))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// observe waits until all responses are right, and then counts those that are not.
func (r *restoration) observe(ctx context.Context, over time.Time) (recovered time.Duration, after int, last string) {
	right := 0
	for right < 3 && time.Since(over) < r.within && ctx.Err() == nil {
		wrong := r.truth.wrong(ctx)
		if len(wrong) == 0 {
			right++
		} else {
			right, last, recovered = 0, fmt.Sprint(wrong), time.Since(over)
		}
		pause.For(ctx, 200*time.Millisecond)
	}
	if right < 3 {
		recovered = r.within
	}
	for range r.repeat(15, 3) {
		wrong := r.truth.wrong(ctx)
		if after += len(wrong); len(wrong) > 0 {
			last = fmt.Sprint(wrong)
		}
		pause.For(ctx, 200*time.Millisecond)
	}
	return min(recovered, r.within), after, last
}
