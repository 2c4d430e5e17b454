package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

const databaseDisk = 320 << 20 // bytes

var databaseDiskFull = newDatabaseDiskFault()

func newDatabaseDiskFault() experiment {
	var server *rig.Postgres
	var disk *rig.Disk
	return experiment{
		name: "database_disk_full",
		what: "no room left on PostgreSQL's disk, until it fails or ends, and room again",
		where: func(*trial) setting {
			return setting{database: func(ctx context.Context, t *trial) (service, direct string, err error) {
				server, err = rig.StartPostgres(ctx, rig.PostgresOptions{
					Dir: filepath.Join(t.folder, "postgres"), Data: rig.PostgresOn(&disk, databaseDisk),
					Settings: map[string]string{"min_wal_size": "32MB", "max_wal_size": "64MB", "checkpoint_timeout": "30s"},
				})
				if err != nil {
					return "", "", err
				}
				t.ending(func() error {
					return errors.Join(server.Stop(context.WithoutCancel(ctx)), disk.Close(), server.Close())
				})
				url, err := server.CreateDatabase(ctx, "chaos")
				return url, url, err
			}}
		},
		strike: func(ctx context.Context, t *trial) error {
			began := time.Now()
			for round := range t.repeat(4, 2) {
				if err := t.fillDatabase(ctx, server, disk, round%2 == 1); err != nil {
					return err
				}
			}
			t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
			return nil
		},
	}
}

// fillDatabase fills PostgreSQL's disk until it cannot store anything for a while, and then frees it. At first it has
// no space for tables and returns errors. When it has no space for its log either, it crashes and cannot start.
func (t *trial) fillDatabase(ctx context.Context, server *rig.Postgres, disk *rig.Disk, logToo bool) error {
	began := time.Now()
	if err := disk.Fill(0); err != nil {
		return err
	}
	failing, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if !eventually(failing, probeEvery, func() bool { return t.recorder.failures(began, time.Now(), "ingest", "probe ingest") > 0 }) {
		return errors.New("PostgreSQL stores on, without room")
	}
	failed := time.Since(began)
	crashed := ""
	if logToo {
		if err := t.useUpLog(ctx); err != nil {
			return err
		}
		crashed = ", and PostgreSQL crashed"
	}
	if !pause.For(ctx, t.between(2*time.Second, 6*time.Second)) {
		return ctx.Err()
	}
	over := time.Now()
	if err := disk.Free(); err != nil {
		return err
	}
	if server.Ended() {
		crashed += " and gave up"
		if err := server.Start(ctx); err != nil {
			return err
		}
	}
	took, err := t.recovered(ctx, over)
	if err != nil {
		return err
	}
	t.logf("%s: nothing could be stored after %.2f s%s; all worked %.2f s after there was room", t.name, failed.Seconds(), crashed, took.Seconds())
	return nil
}

// useUpLog makes PostgreSQL switch its log files until it has no space for the next and crashes.
func (t *trial) useUpLog(ctx context.Context) error {
	const limit = 100 // files
	for range limit {
		err := t.ask(ctx, func(conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SELECT pg_logical_emit_message(true, 'chaos', 'x'), pg_switch_wal()")
			return err
		})
		const diskFull = "53100"
		var pgErr *pgconn.PgError
		if err != nil && (!errors.As(err, &pgErr) || pgErr.Code != diskFull) {
			return nil // it closed the connection or accepts none
		}
	}
	return errors.New("PostgreSQL has room for its log still")
}

const spoolDisk = 12 << 20 // bytes

var spoolDiskFull = newSpoolDiskFault()

func newSpoolDiskFault() experiment {
	var disks [replicas]*rig.Disk
	return experiment{
		name: "spool_disk_full",
		what: "no room left on the spools' disks: first with PostgreSQL there, then because it is not",
		where: func(*trial) setting {
			return setting{spools: func(ctx context.Context, t *trial, i int) (folder string, err error) {
				folder = filepath.Join(t.folder, fmt.Sprintf("small-disk-%d", i))
				if disks[i], err = rig.MountDisk(ctx, folder, spoolDisk); err != nil {
					return "", err
				}
				t.ending(disks[i].Close)
				return filepath.Join(folder, "spool"), nil
			}}
		},
		strike: func(ctx context.Context, t *trial) error {
			began := time.Now()
			if err := t.fillSpools(ctx, disks[:]); err != nil {
				return err
			}
			if failed := t.recorder.failures(began, time.Now(), "ingest", "create", "poll", "report", idlePoll); failed > 0 {
				t.showOutages(began, "ingest", "create", "poll", "report", idlePoll)
				return fmt.Errorf("%d requests failed that have nothing to do with the spool", failed)
			}
			if err := t.outrunSpools(ctx); err != nil {
				return err
			}
			t.must("idle_polls_failed", t.recorder.failures(began, time.Now(), idlePoll), "requests")
			return nil
		},
	}
}

// fillSpools fills the disks of the spools, and then frees them. In the meantime runs, and only runs, are rejected.
func (t *trial) fillSpools(ctx context.Context, disks []*rig.Disk) error {
	began := time.Now()
	for _, disk := range disks {
		if err := disk.Fill(0); err != nil {
			return err
		}
	}
	refused := func(since time.Time) func() bool {
		return func() bool { return t.recorder.failures(since, time.Now(), "run") > 0 }
	}
	soon, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if !eventually(soon, probeEvery, refused(began)) {
		return errors.New("AI agents run on, though what they do cannot be recorded")
	}
	if !pause.For(ctx, 3*time.Second) {
		return ctx.Err()
	}
	over := time.Now()
	for _, disk := range disks {
		if err := disk.Free(); err != nil {
			return err
		}
	}
	again, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var last time.Time
	if !eventually(again, probeEvery, func() bool {
		last = over
		t.recorder.look(func(d *recorder) {
			for _, o := range d.outages {
				if o.kind == "run" && o.at.After(last) {
					last = o.at
				}
			}
		})
		return time.Since(last) > quietFor
	}) {
		return errors.New("AI agents are refused still, though there is room again")
	}
	t.recovery = max(t.recovery, last.Sub(over))
	t.logf("%s: %d runs refused; all ran %.2f s after there was room", t.name, t.recorder.failures(began, time.Now(), "run"), last.Sub(over).Seconds())
	return nil
}

// outrunSpools stops PostgreSQL and runs AI agents until the spools' disks are full.
func (t *trial) outrunSpools(ctx context.Context) error {
	const askers, limit = 8, 20_000
	if err := t.postgres.Stop(ctx); err != nil {
		return err
	}
	began := time.Now()
	client := t.workload.client(false)
	message := strings.Repeat("word ", 4000)
	var asking sync.WaitGroup
	for i := range askers {
		asking.Go(func() {
			refused := 0
			for n := 0; n < limit/askers && refused < 20 && ctx.Err() == nil; n++ {
				status, _, err := t.workload.post(ctx, client, "/api/ai/process-stream", rig.IngestToken, nil, map[string]any{
					"type": "chaos", "user_id": fmt.Sprintf("user-%d", i), "message": message,
				})
				if err != nil || status != http.StatusOK {
					refused++
				}
			}
		})
	}
	asking.Wait()
	refused := t.recorder.failures(began, time.Now(), "run")
	over := time.Now()
	if err := t.postgres.Start(ctx); err != nil {
		return err
	}
	if refused == 0 {
		return errors.New("the spools' disks never fill up")
	}
	took, err := t.recovered(ctx, over)
	if err != nil {
		return err
	}
	t.logf("%s: without PostgreSQL %d runs refused once the disks were full; all worked %.2f s after it was back", t.name, refused, took.Seconds())
	return nil
}
