package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/test/rig"
)

// The windows of metrics, in hours.
const (
	oneDay     = 24
	thirtyDays = 720
)

// sinceNoon returns a window of the given hours, up to 12 more or less, that begins within the hour from 12, as far
// from midnight as possible. This takes as many rollups as possible, as reading the given hours does at noon.
func sinceNoon(hours int, now time.Time) int { return hours + now.UTC().Hour() - 12 }

// longDays is the length of the longest history. It is as dense as that of historyDays.
const longDays = 310

// past is a database with a history, and a server for it.
type past struct {
	history
	db     *pgx.Conn
	server *rig.Server
	reader *rig.Conn

	ingested int64 // executions in addition to the history
	postgres *rig.Postgres
}

func (p *past) close() error {
	var errs []error
	if p.reader != nil {
		errs = append(errs, p.reader.Close())
	}
	if p.server != nil {
		errs = append(errs, p.server.Close())
	}
	return errors.Join(append(errs, p.db.Close(context.Background()))...)
}

// pasts reads metrics and reports with a dense history and, in turns, with sparser ones, and with equally dense ones
// that are longer and shorter.
func pasts(ctx context.Context, b *bench) (_ []figure, err error) {
	dir := filepath.Join(b.dir, "pasts")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// The write-ahead log is as small as a single server allows, to save disk space while the history is generated.
	postgres, err := rig.StartPostgres(ctx, rig.PostgresOptions{Dir: filepath.Join(dir, "postgres"), Settings: map[string]string{
		"shared_buffers": "512MB", "max_wal_size": "2GB", "wal_level": "minimal", "max_wal_senders": "0", "maintenance_work_mem": "256MB",
	}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, postgres.Close()) }()
	var all []*past
	defer func() {
		for _, p := range all {
			err = errors.Join(err, p.close())
		}
	}()
	perDay := or[int64](b, 1_000_000, 20_000) / historyDays
	for _, size := range []struct {
		rows int64
		days int
	}{
		{perDay * 3, 3},
		{perDay * historyDays, historyDays},
		{perDay * longDays, longDays},
		{perDay * historyDays / 10, historyDays},
		{perDay * historyDays * 10, historyDays},
	} {
		p, err := b.makePast(ctx, postgres, dir, history{rows: size.rows, days: size.days})
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	short, middle, long, sparse, full := all[0], all[1], all[2], all[3], all[4]
	var figures []figure
	for _, measure := range []func() ([]figure, error){
		func() ([]figure, error) { return b.readPast(ctx, full) },
		func() ([]figure, error) { return b.reportSeconds(ctx, full) },
		func() ([]figure, error) { return b.readsByLength(ctx, short, middle, long) },
		func() ([]figure, error) { return b.readsByDensity(sparse, middle, full) },
		func() ([]figure, error) { return b.ingestByDensity(ctx, sparse, full) },
	} {
		for _, p := range all {
			if err := p.connect(ctx); err != nil {
				return nil, err
			}
		}
		found, err := measure()
		if err != nil {
			return nil, err
		}
		figures = append(figures, found...)
	}
	return figures, nil
}

// name returns the name of a history's database.
func (h history) name() string { return fmt.Sprintf("rows_%d_days_%d", h.rows, h.days) }

// makePast stores a history of the given rows and days, which ends now, and starts a server with it.
func (b *bench) makePast(ctx context.Context, postgres *rig.Postgres, dir string, h history) (_ *past, err error) {
	name := h.name()
	url, err := postgres.CreateDatabase(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := b.migrate(ctx, &installation{url: url, dir: dir}); err != nil {
		return nil, err
	}
	began := time.Now()
	p := &past{history: newHistory(h.rows, h.days, began)}
	p.traces, p.postgres = h.traces, postgres
	if err := p.seed(ctx, url); err != nil {
		return nil, err
	}
	b.logf("%d executions of %d days in %.0f s", h.rows, h.days, time.Since(began).Seconds())
	if p.db, err = pgx.Connect(ctx, url); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.server, err = rig.Serve(ctx, rig.ServeOptions{
		Binary: b.binary, DatabaseURL: url, Dir: dir, Name: name,
		Args: []string{"--keep-executions=8760h"}, // so that the oldest are not dropped
	}); err != nil {
		return nil, err
	}
	return p, nil
}

// connect dials again: the server closes idle connections while other histories are generated and scanned.
func (p *past) connect(ctx context.Context) (err error) {
	if p.reader != nil {
		if err := p.reader.Close(); err != nil {
			return err
		}
	}
	p.reader, err = rig.Dial(ctx, p.server.Address)
	return err
}

// readMetrics reads the metrics of a window of the given hours and returns how long the response took.
func readMetrics(reader *rig.Conn, address string, hours int) (openapi.ExecutionMetricsAnswer, time.Duration, error) {
	var answer openapi.ExecutionMetricsAnswer
	request := rig.Request("GET", fmt.Sprintf("/api/admin/metrics?hours=%d", hours), address, "Authorization: Bearer "+rig.AdminToken+"\r\n", nil)
	began := time.Now()
	response, err := reader.Do(request)
	took := time.Since(began)
	if err := readable(response, err, http.StatusOK); err != nil {
		return answer, 0, err
	}
	return answer, took, json.Unmarshal(response.Body, &answer)
}

// readPast compares reading metrics with scanning the rows, in time and in values.
func (b *bench) readPast(ctx context.Context, p *past) ([]figure, error) {
	if err := b.cardinality(ctx, p); err != nil {
		return nil, err
	}
	var figures []figure
	for _, window := range []struct {
		name    string
		hours   int
		speedup float64
	}{{"24h", oneDay, 20}, {"30d", thirtyDays, 200}} {
		now, err := b.readWindow(ctx, p, window.name, window.hours)
		if err != nil {
			return nil, err
		}
		noon, err := b.readWindow(ctx, p, window.name+"_noon", sinceNoon(window.hours, time.Now()))
		if err != nil {
			return nil, err
		}
		minimum := atLeast(window.speedup)
		if b.quick {
			minimum = aim{} // the fewer the rows, the faster is who scans them
		}
		figures = append(figures,
			figure{"admin_metrics_ms_" + window.name, now.ours, "ms", atMost(10)},
			figure{"admin_metrics_ms_" + window.name + "_noon", noon.ours, "ms", atMost(10)},
			figure{"admin_metrics_first_ms_" + window.name, now.first, "ms", aim{}},
			figure{"admin_naive_ms_" + window.name, now.naive, "ms", aim{}},
			figure{"admin_metrics_speedup_" + window.name, now.speedup, "ratio", minimum},
			figure{"admin_metrics_speedup_" + window.name + "_noon", now.naive / noon.ours, "ratio", minimum})
	}
	return figures, nil
}

// reads holds the times to read the metrics of a window and to scan its rows, in milliseconds.
type reads struct{ first, ours, naive, speedup float64 }

// readWindow reads and scans a window of the given hours in turns and compares the results.
func (b *bench) readWindow(ctx context.Context, p *past, name string, hours int) (reads, error) {
	var first float64
	var ours, naive, speedup []float64
	for round := range or(b, 5, 3) {
		var times []float64
		var answer openapi.ExecutionMetricsAnswer
		for range 21 {
			read, took, err := readMetrics(p.reader, p.server.Address, hours)
			if err != nil {
				return reads{}, err
			}
			answer, times = read, append(times, took.Seconds()*1e3)
		}
		scanned, took, err := naiveMetrics(ctx, p.db, answer.Metrics.Window)
		if err != nil {
			return reads{}, err
		}
		if err := scanned.compare(answer.Metrics); err != nil {
			return reads{}, fmt.Errorf("%s: %w", name, err)
		}
		if round == 0 {
			first = times[0]
			if err := comparePercentiles(ctx, p.db, answer.Metrics); err != nil {
				return reads{}, fmt.Errorf("%s: %w", name, err)
			}
		}
		ours, naive = append(ours, median(times)), append(naive, took.Seconds()*1e3)
		speedup = append(speedup, naive[round]/ours[round])
		b.logf("%s (%d h), %d requests: %.2f ms, naively %.1f ms", name, hours, answer.Metrics.TotalRequests, ours[round], naive[round])
	}
	return reads{first, median(ours), median(naive), median(speedup)}, nil
}

// cardinality logs what the metrics consist of.
func (b *bench) cardinality(ctx context.Context, p *past) error {
	rows, err := p.db.Query(ctx, `
		SELECT 'rows of 24 h', (SELECT count(*) FROM agent_executions WHERE created_at >= $1)
		UNION ALL SELECT 'agents', (SELECT count(DISTINCT agent) FROM execution_rollups WHERE seconds = 86400)
		UNION ALL SELECT 'models', (SELECT count(DISTINCT model) FROM execution_rollups WHERE seconds = 86400)
		UNION ALL SELECT 'cells (agent, model, status, request)', (SELECT count(DISTINCT (agent, model, status, request)) FROM execution_rollups WHERE seconds = 86400)
		UNION ALL SELECT 'users', (SELECT count(DISTINCT user_id) FROM user_rollups WHERE seconds = 86400)
		UNION ALL SELECT 'rollups', (SELECT count(*) FROM execution_rollups)
		UNION ALL SELECT 'rollups of users', (SELECT count(*) FROM user_rollups)
		UNION ALL SELECT 'MiB of the database', pg_database_size(current_database()) / 1048576`, p.to.Add(-oneDay*time.Hour))
	if err != nil {
		return err
	}
	var what string
	var n int64
	b.logf("%d executions", p.rows)
	_, err = pgx.ForEachRow(rows, []any{&what, &n}, func() error {
		b.logf("  %d %s", n, what)
		return nil
	})
	return err
}
