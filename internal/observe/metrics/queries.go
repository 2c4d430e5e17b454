package metrics

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	// SlowQuery is the minimum duration for which a query is logged as a warning.
	SlowQuery = 100 * time.Millisecond

	maxQueryNames   = 256
	maxQueryNameLen = 100 // bytes
	otherQuery      = "other"
)

// QueryObserver counts and logs queries for Prometheus, the rollups and the query log. Counting takes no lock.
type QueryObserver struct {
	created time.Time
	log     *zap.Logger
	other   *query
	mu      sync.Mutex // held to add a name
	byName  atomic.Pointer[map[string]*query]
	others  [others]otherQueries
}

// otherQueries counts the queries for an audience other than Known.
type otherQueries struct{ count, nanos atomic.Uint64 }

// query has the counts of one query.
type query struct {
	name    string
	shards  shards[queryCounts]
	drained uint64 // errors up to the last drain
}

type queryCounts struct {
	latencies
	errors atomic.Uint64 // since the start
}

var (
	queryDurationDesc = prometheus.NewDesc("watchbill_db_query_duration_seconds",
		"Time that database queries took, failed ones too, by the query's name.", []string{"query"}, nil)
	queryErrorsDesc = prometheus.NewDesc("watchbill_db_query_errors_total",
		"Database queries that failed, by the query's name; not those whose caller went away.", []string{"query"}, nil)
)

var (
	otherQueriesDesc = prometheus.NewDesc("watchbill_db_other_queries_total",
		"Database queries for unauthenticated callers and probes, which no other metric counts.", []string{"audience"}, nil)
	otherQuerySecondsDesc = prometheus.NewDesc("watchbill_db_other_query_seconds_total",
		"Time that database queries for unauthenticated callers and probes took.", []string{"audience"}, nil)
)

// NewQueryObserver returns an observer that logs to log and whose metrics are registered with reg. created is the start
// of the program.
func NewQueryObserver(reg prometheus.Registerer, log *zap.Logger, created time.Time) *QueryObserver {
	o := &QueryObserver{created: created, log: log, other: newQuery(otherQuery)}
	o.byName.Store(&map[string]*query{otherQuery: o.other})
	reg.MustRegister(o)
	return o
}

func newQuery(name string) *query { return &query{name: name, shards: newShards[queryCounts]()} }

// ObserveOtherQuery counts and logs one run of a query for an audience other than Known, which no figure includes.
func (o *QueryObserver) ObserveOtherQuery(audience observe.Audience, name string, duration time.Duration, err error, sqlstate string) {
	others := &o.others[audience]
	others.count.Add(1)
	others.nanos.Add(uint64(max(duration, 0)))
	o.logQuery(name, duration, err, sqlstate)
}

// ObserveQuery counts and logs one run of a query. The name is one of Watchbill's; beyond 256 names, further ones count
// as "other". For a failed query err and its SQLSTATE are logged, which is empty if the database did not respond.
// Values that err quotes are removed, since they may be parameters.
func (o *QueryObserver) ObserveQuery(name string, duration time.Duration, err error, sqlstate string) {
	q := o.query(name)
	counts := q.shards.any()
	counts.observe(duration)
	if isFailure(err) {
		counts.errors.Add(1)
	}
	o.logQuery(q.name, duration, err, sqlstate)
}

// isFailure reports whether an error is a failure of the query. A cancellation by the caller is not one.
func isFailure(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }

func (o *QueryObserver) logQuery(name string, duration time.Duration, err error, sqlstate string) {
	failed := isFailure(err)
	level, slow := zapcore.InfoLevel, duration >= SlowQuery
	if slow || failed {
		level = zapcore.WarnLevel
	}
	entry := o.log.Check(level, "query")
	if entry == nil {
		return
	}
	fields := []zap.Field{zap.String("query", name), zap.Float64("duration_ms", observe.Milliseconds(duration))}
	if slow {
		fields = append(fields, zap.Bool("slow", true))
	}
	if err != nil {
		fields = append(fields, zap.String("error", withoutValues(err.Error(), sqlstate)))
	}
	if sqlstate != "" {
		fields = append(fields, zap.String("sqlstate", sqlstate))
	}
	entry.Write(fields...)
}

func (o *QueryObserver) query(name string) *query {
	known := *o.byName.Load()
	if q := known[name]; q != nil {
		return q
	}
	if name == "" || len(known) > maxQueryNames {
		return o.other
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	known = *o.byName.Load()
	name = strings.Clone(text.Fit(strings.ToValidUTF8(name, "\uFFFD"), maxQueryNameLen)) // a label must be valid UTF-8
	if q := known[name]; q != nil {
		return q
	}
	if len(known) > maxQueryNames {
		return o.other
	}
	q := newQuery(name)
	next := maps.Clone(known)
	next[name] = q
	o.byName.Store(&next)
	return q
}

// Describe implements prometheus.Collector.
func (o *QueryObserver) Describe(descs chan<- *prometheus.Desc) {
	descs <- queryDurationDesc
	descs <- queryErrorsDesc
	descs <- otherQueriesDesc
	descs <- otherQuerySecondsDesc
}

// Collect implements prometheus.Collector.
func (o *QueryObserver) Collect(metrics chan<- prometheus.Metric) {
	o.collectOthers(metrics)
	for _, q := range *o.byName.Load() {
		counts, sum := make([]uint64, len(slots)), 0.0
		for _, c := range q.shards {
			sum += c.addTo(counts)
		}
		metrics <- newHistogram(queryDurationDesc, counts, sum, o.created, q.name)
		metrics <- prometheus.MustNewConstMetricWithCreatedTimestamp(queryErrorsDesc, prometheus.CounterValue,
			float64(q.errorTotal()), o.created, q.name)
	}
}

func (o *QueryObserver) collectOthers(metrics chan<- prometheus.Metric) {
	for i := range o.others {
		counts, audience := &o.others[i], observe.Audience(i).String()
		metrics <- prometheus.MustNewConstMetricWithCreatedTimestamp(otherQueriesDesc, prometheus.CounterValue,
			float64(counts.count.Load()), o.created, audience)
		metrics <- prometheus.MustNewConstMetricWithCreatedTimestamp(otherQuerySecondsDesc, prometheus.CounterValue,
			float64(counts.nanos.Load())/1e9, o.created, audience)
	}
}

func (q *query) errorTotal() (n uint64) {
	for _, c := range q.shards {
		n += c.errors.Load()
	}
	return n
}

// drain moves the counts since the last drain to the minute. Only the flusher calls it.
func (o *QueryObserver) drain(to *minute) {
	for _, q := range *o.byName.Load() {
		var total queryTotals
		for _, c := range q.shards {
			c.drain(&total.duration)
		}
		failed := q.errorTotal()
		if total.duration.Count() == 0 && failed == q.drained {
			continue
		}
		totals := to.query(q)
		totals.duration.Merge(&total.duration)
		totals.errors += int64(failed - q.drained)
		q.drained = failed
	}
}

var (
	quotedPattern  = regexp.MustCompile(`(?s)".*"`)
	encodedPattern = regexp.MustCompile(`(?s)(to encode )(args\[\d+\]: )?.*`)
)

// withoutValues removes what may be parameters' values from an error. The server quotes values in data exceptions
// (class 22) and Watchbill's names in all others. The driver quotes or prints values that it cannot encode or decode.
func withoutValues(text, sqlstate string) string {
	if sqlstate != "" && !strings.HasPrefix(sqlstate, "22") {
		return text
	}
	text = encodedPattern.ReplaceAllString(text, "${1}${2}(value withheld)")
	return quotedPattern.ReplaceAllString(text, `"(value withheld)"`)
}
