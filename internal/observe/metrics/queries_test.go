package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/logging"
)

func TestQueryLines(t *testing.T) {
	tests := []struct {
		name     string
		duration time.Duration
		err      error
		sqlstate string
		warned   bool
		failed   float64
		want     string
	}{
		{name: "fine", duration: 1500 * time.Microsecond, want: `"query":"GetAgent","duration_ms":1.5}`},
		{name: "just fast enough", duration: SlowQuery - 1, want: `"duration_ms":99.999999}`},
		{name: "slow", duration: SlowQuery, warned: true, want: `"duration_ms":100,"slow":true}`},
		{
			name: "failed", err: errors.New(`ERROR: duplicate key value violates unique constraint "agents_pkey" (SQLSTATE 23505)`),
			sqlstate: "23505", warned: true, failed: 1,
			want: `"error":"ERROR: duplicate key value violates unique constraint \"agents_pkey\" (SQLSTATE 23505)","sqlstate":"23505"}`,
		},
		{
			name: "the server quotes a value", err: errors.New(`ERROR: invalid input syntax for type uuid: "hid"den" (SQLSTATE 22P02)`),
			sqlstate: "22P02", warned: true, failed: 1,
			want: `"error":"ERROR: invalid input syntax for type uuid: \"(value withheld)\" (SQLSTATE 22P02)","sqlstate":"22P02"}`,
		},
		{
			name: "the driver prints a value", err: errors.New("failed to encode args[2]: unable to encode hidden into text format for int4 (OID 23)"),
			warned: true, failed: 1, want: `"error":"failed to encode args[2]: (value withheld)"}`,
		},
		{
			name: "the driver quotes a value", err: errors.New(`can't scan into dest[0]: strconv.ParseInt: parsing "hidden": invalid syntax`),
			warned: true, failed: 1, want: `"error":"can't scan into dest[0]: strconv.ParseInt: parsing \"(value withheld)\": invalid syntax"}`,
		},
		{
			name: "the password of the connection", err: errors.New("connect to postgres://u:hidden@h/d: refused"),
			warned: true, failed: 1, want: `"error":"connect to postgres://u:[redacted]@h/d: refused"}`,
		},
		{name: "the caller went away", err: fmt.Errorf("query: %w", context.Canceled), want: `"error":"query: context canceled"}`},
		{name: "out of time", err: context.DeadlineExceeded, warned: true, failed: 1, want: `"error":"context deadline exceeded"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, reg := t.TempDir(), prometheus.NewRegistry()
			var stdout bytes.Buffer
			logs := newTestLogs(t, logging.Options{Dir: dir, Stdout: &stdout})
			o := NewQueryObserver(reg, logs.Queries, epoch)
			o.ObserveQuery("GetAgent", tt.duration, tt.err, tt.sqlstate)
			logs.Sync()
			file, err := os.ReadFile(filepath.Join(dir, logging.QueryLogFile))
			if err != nil {
				t.Fatal(err)
			}
			line := string(file)
			if !strings.Contains(line, `"msg":"query"`) || !strings.HasSuffix(line, tt.want+"\n") || strings.Contains(line, "hid") {
				t.Errorf("got %s, want %s at its end", line, tt.want)
			}
			wantStdout := ""
			if tt.warned {
				wantStdout = line
			}
			if stdout.String() != wantStdout || strings.Contains(line, `"level":"warn"`) != tt.warned {
				t.Errorf("stdout %q, query log %q, want them warned: %v", stdout.String(), line, tt.warned)
			}
			o.ObserveOtherQuery(observe.Unauthenticated, "GetAgent", time.Second, tt.err, tt.sqlstate)
			checkSeries(t, reg, "", map[string]float64{
				"watchbill_db_query_duration_seconds{query=GetAgent}": 1,
				"watchbill_db_query_duration_seconds{query=other}":    0,
				"watchbill_db_query_errors_total{query=GetAgent}":     tt.failed,
				"watchbill_db_query_errors_total{query=other}":        0,

				"watchbill_db_other_queries_total{audience=unauthenticated}":       1,
				"watchbill_db_other_queries_total{audience=probe}":                 0,
				"watchbill_db_other_query_seconds_total{audience=unauthenticated}": 1,
				"watchbill_db_other_query_seconds_total{audience=probe}":           0,
			})
		})
	}
}

func TestQueryNamesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := NewQueryObserver(reg, zap.NewNop(), epoch)
	o.ObserveQuery("", 0, nil, "")
	o.ObserveQuery("\xff"+strings.Repeat("x", 1000), 0, nil, "") // neither is valid as a label
	for i := range 1000 {
		o.ObserveQuery(fmt.Sprint("q", i), 0, nil, "")
	}
	got := series(t, reg, "watchbill_db_query_duration_seconds")
	if len(got) != maxQueryNames+1 {
		t.Errorf("%d series, want %d and other", len(got), maxQueryNames)
	}
	if other := got["watchbill_db_query_duration_seconds{query=other}"]; other != 1+1000-(maxQueryNames-1) {
		t.Errorf("%v queries are other, want what is beyond the bound and the one without a name", other)
	}
}
