package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// historyDays is the length of a generated history, unless it is compared with longer or shorter ones.
const historyDays = 31

// history is a series of executions at even intervals up to an end, the n-th n intervals after the start.
type history struct {
	from, to time.Time
	rows     int64
	days     int
	traces   bool // the executions are spans, four of a trace
}

func newHistory(rows int64, days int, end time.Time) history {
	end = end.UTC().Truncate(time.Minute)
	return history{from: end.AddDate(0, 0, -days), to: end, rows: rows, days: days}
}

func (h history) at(n int64) time.Time {
	span := h.to.Sub(h.from).Microseconds()
	return h.from.Add(time.Duration(span/h.rows*n+span%h.rows*n/h.rows) * time.Microsecond)
}

// before returns the number of executions that began before a time.
func (h history) before(t time.Time) int64 {
	low, high := int64(0), h.rows
	for low < high {
		if middle := (low + high) / 2; h.at(middle).Before(t) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// seed stores the history in an unused database with the current schema: the rows a day at a time, and their rollups by
// the product's arithmetic. The indexes are created after the rows, which is faster and gives the same result.
func (h history) seed(ctx context.Context, url string) error {
	var next atomic.Int64
	errs := make([]error, 2) // one for each core
	var busy sync.WaitGroup
	for worker := range errs {
		busy.Go(func() {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				errs[worker] = err
				return
			}
			for err == nil {
				day := h.from.Truncate(execution.DayWide).AddDate(0, 0, int(next.Add(1)-1))
				if !day.Before(h.to) {
					break
				}
				err = h.seedDay(ctx, conn, day)
			}
			errs[worker] = errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		})
	}
	busy.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("seed executions: %w", err)
	}
	return h.finish(ctx, url)
}

// finish registers the names, which would otherwise be counted as "other", and gathers statistics.
func (h history) finish(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	agents, models := madeNames()
	for kind, names := range map[string][]string{"agent": agents, "model": models} {
		if _, err := conn.Exec(ctx, `INSERT INTO rollup_names (kind, name) SELECT $1, unnest($2::text[])`, kind, names); err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

func (h history) seedDay(ctx context.Context, conn *pgx.Conn, day time.Time) error {
	deltas := execution.NewDeltas()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		replace := strings.NewReplacer("NAME", "agent_executions_"+day.Format("20060102"),
			"BEGINNING", day.Format(time.RFC3339), "END", day.AddDate(0, 0, 1).Format(time.RFC3339)).Replace
		if _, err := tx.Exec(ctx, replace("CREATE TABLE NAME (LIKE agent_executions INCLUDING ALL EXCLUDING INDEXES)")); err != nil {
			return err
		}
		rows := &madeRows{history: h, next: h.before(day), end: h.before(day.AddDate(0, 0, 1)), deltas: deltas}
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, rows, replace("COPY NAME ("+copyColumns+") FROM STDIN (FREEZE)")); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, replace(`
			ALTER TABLE NAME ADD PRIMARY KEY (user_id, created_at, execution_id); -- ATTACH creates the other indexes
			ALTER TABLE NAME ENABLE ROW LEVEL SECURITY;
			ALTER TABLE NAME FORCE ROW LEVEL SECURITY;
			ALTER TABLE agent_executions ATTACH PARTITION NAME FOR VALUES FROM ('BEGINNING') TO ('END')`)); err != nil {
			return err
		}
		return seedRollups(ctx, tx, deltas, h.to)
	})
}

// row returns the n-th row.
func (h history) row(n int64) execution.Row {
	row := made("past", n, h.at(n))
	if h.traces {
		row.TraceID, row.SpanID = pastTrace(n), fmt.Sprintf("%016x", n)
		row.ID = row.TraceID + "-" + row.SpanID
		row.Input, row.Output = nil, nil // so that 10 million fit on a small disk
	}
	return row
}

// pastTrace returns the id of the trace of the n-th row of a history with traces.
func pastTrace(n int64) string {
	return fmt.Sprintf("%016x%016x", scrambled(uint64(n/4)), scrambled(uint64(n/4)+1<<40))
}

// madeRows is a reader of rows in COPY's text format. It adds up their deltas.
type madeRows struct {
	history   history
	next, end int64
	deltas    execution.Deltas
	ready     []byte
	buffer    []byte
}

func (m *madeRows) Read(p []byte) (int, error) {
	if len(m.ready) == 0 {
		if m.next >= m.end {
			return 0, io.EOF
		}
		m.buffer = m.buffer[:0]
		for end := min(m.next+100, m.end); m.next < end; m.next++ {
			row := m.history.row(m.next)
			m.deltas.Add(&row, 1)
			m.buffer = appendCopy(m.buffer, &row)
		}
		m.ready = m.buffer
	}
	n := copy(p, m.ready)
	m.ready = m.ready[n:]
	return n, nil
}

// The default retention of rollups of a minute and of a quarter of an hour, in days.
const (
	minutesKept  = 7
	quartersKept = 100
)

// seedRollups stores a day's rollups of all widths as folding would, if they are within their retention.
func seedRollups(ctx context.Context, tx pgx.Tx, d execution.Deltas, now time.Time) error {
	since := map[time.Duration]int64{ // others are kept longer than the history
		execution.MinuteWide: now.AddDate(0, 0, -minutesKept).Unix(), execution.QuarterWide: now.AddDate(0, 0, -quartersKept).Unix(),
	}
	for _, width := range []time.Duration{execution.MinuteWide, execution.QuarterWide, execution.HourWide, execution.DayWide} {
		cells, users := map[execution.CellKey]*execution.Measures{}, map[execution.UserKey]*execution.Spend{}
		seconds := int64(width / time.Second)
		for key, m := range d.Cells {
			if key.Minute < since[width] {
				continue
			}
			key.Minute -= key.Minute % seconds
			if cells[key] == nil {
				cells[key] = &execution.Measures{}
			}
			cells[key].Merge(*m)
		}
		for key, spend := range d.Users {
			if width == execution.MinuteWide { // users have no minutes
				break
			}
			if key.Quarter < since[width] {
				continue
			}
			key.Quarter -= key.Quarter % seconds
			if users[key] == nil {
				users[key] = &execution.Spend{}
			}
			users[key].Add(*spend)
		}
		if err := copyRollups(ctx, tx, int32(seconds), cells, users); err != nil {
			return err
		}
	}
	return nil
}

func copyRollups(ctx context.Context, tx pgx.Tx, seconds int32, cells map[execution.CellKey]*execution.Measures, users map[execution.UserKey]*execution.Spend) error {
	cellRows, userRows := make([][]any, 0, len(cells)), make([][]any, 0, len(users))
	for key, m := range cells {
		t := m.Tokens
		cellRows = append(cellRows, []any{
			seconds, time.Unix(key.Minute, 0), key.Agent, key.Model, string(key.Status), key.Request, m.Count, m.Micros,
			t.Used, t.Input, t.Output, t.CacheRead, t.CacheWrite, t.Reasoning, m.Cost, m.Unpriced, m.Durations.Encode(),
		})
	}
	for key, s := range users {
		t := s.Tokens
		userRows = append(userRows, []any{
			seconds, time.Unix(key.Quarter, 0), key.User, key.Model, s.Requests,
			t.Used, t.Input, t.Output, t.CacheRead, t.CacheWrite, t.Reasoning, s.Cost, s.Unpriced,
		})
	}
	tokens := []string{"tokens_used", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nano_usd", "unpriced_tokens"}
	cellColumns := append(append([]string{"seconds", "bucket", "agent", "model", "status", "request", "count", "time_us"}, tokens...), "durations")
	userColumns := append([]string{"seconds", "bucket", "user_id", "model", "requests"}, tokens...)
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"execution_rollups"}, cellColumns, pgx.CopyFromRows(cellRows)); err != nil {
		return err
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"user_rollups"}, userColumns, pgx.CopyFromRows(userRows))
	return err
}
