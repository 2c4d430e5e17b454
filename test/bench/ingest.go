package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/test/rig"
)

// foldedWithin limits the time to fold the deltas of a flood.
const foldedWithin = 2 * time.Minute

// ingest compares storing executions through the API with COPY of the same rows, read back from the database, into a
// similar table, in turns.
func ingest(ctx context.Context, b *bench) (_ []figure, err error) {
	i, err := b.install(ctx, "ingest", 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	db, err := pgx.Connect(ctx, i.url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close(context.WithoutCancel(ctx))) }()
	if err := makeRawTable(ctx, db); err != nil {
		return nil, err
	}
	g, err := dialIngesters(ctx, i.server.Address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.close()) }()

	turns, err := b.ingestInTurns(ctx, i, db, g)
	if err != nil {
		return nil, err
	}
	var p50, p99 []float64
	for range or(b, 5, 2) { // rounds, so that a short disturbance of the machine does not decide
		ack, err := b.ingestAtHalf(ctx, g, median(turns.ours))
		if err != nil {
			return nil, err
		}
		p50, p99 = append(p50, ack.Quantile(0.5)*1e3), append(p99, ack.Quantile(0.99)*1e3)
	}
	drift, err := rollupDrift(ctx, db, i.server, g.next)
	if err != nil {
		return nil, err
	}
	return []figure{
		{"ingest_per_s", median(turns.ours), "1/s", aim{}},
		{"ingest_copy_per_s", median(turns.copied), "1/s", aim{}},
		{"ingest_ratio", median(turns.ratio), "ratio", atLeast(0.5)},
		{"ingest_ack_p50_ms", median(p50), "ms", aim{}},
		{"ingest_ack_p99_ms", median(p99), "ms", atMost(50)},
		{"ingest_rollup_drift", float64(drift), "executions", exactly(0)},
	}, nil
}

// makeRawTable creates a table like that of the executions: with as many columns, indexes and current partitions. It
// has no row-level security policies, with which COPY does not work.
func makeRawTable(ctx context.Context, db *pgx.Conn) error {
	sql := `CREATE TABLE raw_executions (LIKE agent_executions INCLUDING ALL) PARTITION BY RANGE (created_at);`
	today := time.Now().UTC().Truncate(execution.DayWide)
	for ahead := -1; ahead <= 1; ahead++ {
		from := today.AddDate(0, 0, ahead)
		sql += fmt.Sprintf("CREATE TABLE raw_executions_%s PARTITION OF raw_executions FOR VALUES FROM ('%s') TO ('%s');",
			from.Format("20060102"), from.Format(time.RFC3339), from.AddDate(0, 0, 1).Format(time.RFC3339))
	}
	_, err := db.Exec(ctx, sql)
	return err
}

// turnsOf holds the rates of both sides by round, in executions per second, and their ratios.
type turnsOf struct{ ours, copied, ratio []float64 }

func (b *bench) ingestInTurns(ctx context.Context, i *installation, db *pgx.Conn, g *ingesters) (turnsOf, error) {
	var t turnsOf
	batches := or(b, 1200, 150)
	warmUp, err := g.prepare(batches / 4)
	if err != nil {
		return t, err
	}
	if _, err := g.flood(ctx, warmUp); err != nil {
		return t, err
	}
	for round := range or(b, 5, 2) {
		first := g.next
		requests, err := g.prepare(batches)
		if err != nil {
			return t, err
		}
		if err := checkpoint(ctx, db); err != nil {
			return t, err
		}
		spent, err := i.cpu()
		if err != nil {
			return t, err
		}
		took, err := g.flood(ctx, requests)
		if err != nil {
			return t, err
		}
		began := time.Now()
		if err := awaitFolded(ctx, db); err != nil {
			return t, err
		}
		foldTail := time.Since(began)
		spentThen, err := i.cpu()
		if err != nil {
			return t, err
		}
		copyTook, err := copySame(ctx, db, first, g.next)
		if err != nil {
			return t, err
		}
		rows := float64(g.next - first)
		t.ours, t.copied = append(t.ours, rows/took.Seconds()), append(t.copied, rows/copyTook.Seconds())
		t.ratio = append(t.ratio, copyTook.Seconds()/took.Seconds())
		b.logf("round %d: %.0f executions: %.0f/s, by COPY %.0f/s, ratio %.2f; folded %.1f s later; µs of CPU each: server %.1f, PostgreSQL %.1f, the load %.1f",
			round, rows, t.ours[round], t.copied[round], t.ratio[round], foldTail.Seconds(), float64((spentThen.server-spent.server).Microseconds())/rows,
			float64((spentThen.postgres-spent.postgres).Microseconds())/rows, float64((spentThen.load-spent.load).Microseconds())/rows)
	}
	return t, nil
}

// cpuTime holds the CPU time of each participant.
type cpuTime struct{ server, postgres, load time.Duration }

func (i *installation) cpu() (c cpuTime, err error) {
	if c.server, err = i.server.CPU(); err != nil {
		return c, err
	}
	if c.postgres, err = i.postgres.CPU(); err != nil {
		return c, err
	}
	var us syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &us)
	c.load = time.Duration(us.Utime.Nano() + us.Stime.Nano())
	return c, err
}

// checkpoint gives the next writers the same start: the first change of a page after a checkpoint logs the whole page.
func checkpoint(ctx context.Context, db *pgx.Conn) error {
	_, err := db.Exec(ctx, "CHECKPOINT")
	return err
}

// awaitFolded waits until all deltas are folded, so that folding does not overlap with the other side's measurement.
func awaitFolded(ctx context.Context, db *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, foldedWithin)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond) // the queries' cost is included in PostgreSQL's
	defer tick.Stop()
	for {
		var left bool
		err := db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM execution_deltas) OR EXISTS (SELECT FROM user_deltas)`).Scan(&left)
		if err != nil || !left {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("deltas are left to fold: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// copySame copies the rows of a round, as the API stored them, into the raw table, and returns the time of the COPY.
func copySame(ctx context.Context, db *pgx.Conn, from, to int64) (time.Duration, error) {
	var rows bytes.Buffer
	read := fmt.Sprintf(`COPY (SELECT %s FROM agent_executions WHERE split_part(execution_id, '-', 2)::bigint >= %d
		ORDER BY split_part(execution_id, '-', 2)::bigint) TO STDOUT (FORMAT binary)`, copyColumns, from)
	tag, err := db.PgConn().CopyTo(ctx, &rows, read)
	if err != nil {
		return 0, err
	}
	if tag.RowsAffected() != to-from {
		return 0, fmt.Errorf("%d executions were acknowledged, %d are stored", to-from, tag.RowsAffected())
	}
	if err := checkpoint(ctx, db); err != nil {
		return 0, err
	}
	began := time.Now()
	_, err = db.PgConn().CopyFrom(ctx, &rows, "COPY raw_executions ("+copyColumns+") FROM STDIN (FORMAT binary)")
	return time.Since(began), err
}

// ingestAtHalf sends batches at half of a rate (executions per second) in an open loop.
func (b *bench) ingestAtHalf(ctx context.Context, g *ingesters, rate float64) (*rig.Result, error) {
	length := or(b, 5*time.Second, 2*time.Second)
	perSecond := rate / 2 / ingestBatch
	requests, err := g.prepare(int(perSecond*length.Seconds()) + 1)
	if err != nil {
		return nil, err
	}
	until, cancel := context.WithCancel(ctx)
	defer cancel()
	spare := g.next
	g.next -= int64(len(requests)) * ingestBatch // counted when they are acknowledged
	result := rig.OpenLoop(until, perSecond, len(g.conns), func(_ context.Context, worker int, n int64) error {
		if n >= int64(len(requests)) {
			cancel()
			return context.Canceled // no requests are left
		}
		return g.send(worker, requests[n])
	})
	g.next = spare
	b.logf("%.0f executions/s by the clock: p50 %.1f ms, p99 %.1f ms; the load itself was late by at most %.1f ms",
		perSecond*ingestBatch, result.Quantile(0.5)*1e3, result.Quantile(0.99)*1e3, result.Behind.Seconds()*1e3)
	return result, result.First
}

// rollupDrift returns the difference in executions between the API's metrics, the rows, and what was acknowledged.
func rollupDrift(ctx context.Context, db *pgx.Conn, s *rig.Server, acknowledged int64) (int64, error) {
	var stored int64
	if err := db.QueryRow(ctx, `SELECT count(*) FROM agent_executions`).Scan(&stored); err != nil {
		return 0, err
	}
	reader, err := rig.Dial(ctx, s.Address)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	response, _, err := readMetrics(reader, s.Address, 24)
	if err != nil {
		return 0, err
	}
	naive, _, err := naiveMetrics(ctx, db, response.Metrics.Window)
	if err != nil {
		return 0, err
	}
	if err := naive.compare(response.Metrics); err != nil {
		return 0, err
	}
	return max(stored, acknowledged) - min(stored, acknowledged), nil
}

// readable returns an error unless the response has the wanted status.
func readable(r rig.Response, err error, want int) error {
	if err == nil && r.Status != want {
		err = fmt.Errorf("%d %s: %.300s", r.Status, http.StatusText(r.Status), r.Body)
	}
	return err
}
