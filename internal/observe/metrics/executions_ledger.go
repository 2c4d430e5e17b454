package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LedgerMetrics counts the outcomes of the executions that the ledger receives.
type LedgerMetrics struct {
	batchRows, commitDuration               prometheus.Histogram
	commitFailures                          prometheus.Counter
	accepted, duplicates, rejected, refused prometheus.Counter
	erased                                  prometheus.Counter
}

// NewLedgerMetrics returns metrics that are registered with reg.
func NewLedgerMetrics(reg prometheus.Registerer) *LedgerMetrics {
	rows := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "watchbill_ledger_rows_total",
		Help: "Executions that the ledger received, by outcome; refused ones may be sent again.",
	}, []string{"result"})
	m := &LedgerMetrics{
		batchRows: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "watchbill_ledger_batch_rows", Help: "Executions in a batch that was committed.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000},
		}),
		commitDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "watchbill_ledger_commit_duration_seconds", Help: "Time that a batch took to be committed, or to fail.",
			Buckets: classicBuckets, NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: maxNativeBuckets,
		}),
		commitFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "watchbill_ledger_commit_failures_total", Help: "Batches that could not be committed.",
		}),
		accepted:   rows.WithLabelValues("accepted"),
		duplicates: rows.WithLabelValues("duplicate"),
		rejected:   rows.WithLabelValues("rejected"),
		refused:    rows.WithLabelValues("refused"),
		erased:     rows.WithLabelValues("erased"),
	}
	reg.MustRegister(m.batchRows, m.commitDuration, m.commitFailures, rows)
	return m
}

// ObserveCommit counts a batch of rows executions and the time that its transaction took. The size of a failed batch is
// not counted, since its executions may be sent again in another batch.
func (m *LedgerMetrics) ObserveCommit(rows int, took time.Duration, err error) {
	m.commitDuration.Observe(took.Seconds())
	if err != nil {
		m.commitFailures.Inc()
		return
	}
	m.batchRows.Observe(float64(rows))
}

// ObserveRows counts executions: accepted ones were committed, duplicates had been before, rejected ones are invalid,
// and refused ones were not stored because the queue was full or the database unreachable.
func (m *LedgerMetrics) ObserveRows(accepted, duplicates, rejected, refused int) {
	m.accepted.Add(float64(accepted))
	m.duplicates.Add(float64(duplicates))
	m.rejected.Add(float64(rejected))
	m.refused.Add(float64(refused))
}

// ObserveErased counts executions that were dropped because their users were erased after they began.
func (m *LedgerMetrics) ObserveErased(rows int) { m.erased.Add(float64(rows)) }

// QueueSample is the state of the ledger's queue.
type QueueSample struct {
	Rows, CapacityRows int
	Bytes              int64
}

// SpoolSample is the state of the gateway's spool. Replayed and Corrupt count since the program started.
type SpoolSample struct {
	Records              int           // not yet committed
	Bytes, CapacityBytes int64         // on disk, including space reserved for current runs; and its limit
	OldestAge            time.Duration // time since the start of the run with the oldest record; 0 if there is none
	Replayed             int64         // executions committed
	Corrupt              int64         // number of times that something other than a record was found
}

var (
	queueRowsDesc = prometheus.NewDesc("watchbill_ledger_queue_rows",
		"Executions that wait to be committed.", nil, nil)
	queueBytesDesc = prometheus.NewDesc("watchbill_ledger_queue_bytes",
		"Size of the executions that wait to be committed.", nil, nil)
	queueCapacityDesc = prometheus.NewDesc("watchbill_ledger_queue_capacity_rows",
		"Max executions that may wait to be committed; more are refused.", nil, nil)

	spoolRecordsDesc = prometheus.NewDesc("watchbill_spool_records",
		"Executions on disk that wait to be committed.", nil, nil)
	spoolBytesDesc = prometheus.NewDesc("watchbill_spool_bytes",
		"Size of the spool on disk, with the room reserved for runs under way.", nil, nil)
	spoolCapacityDesc = prometheus.NewDesc("watchbill_spool_capacity_bytes",
		"Max size of the spool; beyond it the gateway starts no run.", nil, nil)
	spoolOldestDesc = prometheus.NewDesc("watchbill_spool_oldest_age_seconds",
		"Time since the run began that has waited longest on disk to be committed; 0 when none waits.", nil, nil)
	spoolReplayedDesc = prometheus.NewDesc("watchbill_spool_replayed_total",
		"Executions committed from the spool.", nil, nil)
	spoolCorruptDesc = prometheus.NewDesc("watchbill_spool_corrupt_total",
		"Times that the spool found data on disk that is not a record.", nil, nil)

	rollupDeltasDesc = prometheus.NewDesc("watchbill_rollup_deltas",
		"Changes that wait to be folded into rollups, of all replicas; every replica shows the same.", nil, nil)
)

// sampled is a collector that takes a sample at each scrape.
type sampled struct {
	descs   []*prometheus.Desc
	collect func(metrics chan<- prometheus.Metric)
}

func (s sampled) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range s.descs {
		descs <- desc
	}
}

func (s sampled) Collect(metrics chan<- prometheus.Metric) { s.collect(metrics) }

func gauge(desc *prometheus.Desc, value float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
}

// NewLedgerQueueCollector returns the queue's metrics, for a registry. stats must be safe for concurrent use.
func NewLedgerQueueCollector(stats func() QueueSample) prometheus.Collector {
	return sampled{[]*prometheus.Desc{queueRowsDesc, queueBytesDesc, queueCapacityDesc}, func(metrics chan<- prometheus.Metric) {
		s := stats()
		metrics <- gauge(queueRowsDesc, float64(s.Rows))
		metrics <- gauge(queueBytesDesc, float64(s.Bytes))
		metrics <- gauge(queueCapacityDesc, float64(s.CapacityRows))
	}}
}

// NewSpoolCollector returns the spool's metrics, for a registry. stats must be safe for concurrent use.
func NewSpoolCollector(stats func() SpoolSample) prometheus.Collector {
	descs := []*prometheus.Desc{
		spoolRecordsDesc, spoolBytesDesc, spoolCapacityDesc, spoolOldestDesc, spoolReplayedDesc, spoolCorruptDesc,
	}
	return sampled{descs, func(metrics chan<- prometheus.Metric) {
		s := stats()
		metrics <- gauge(spoolRecordsDesc, float64(s.Records))
		metrics <- gauge(spoolBytesDesc, float64(s.Bytes))
		metrics <- gauge(spoolCapacityDesc, float64(s.CapacityBytes))
		metrics <- gauge(spoolOldestDesc, s.OldestAge.Seconds())
		metrics <- prometheus.MustNewConstMetric(spoolReplayedDesc, prometheus.CounterValue, float64(s.Replayed))
		metrics <- prometheus.MustNewConstMetric(spoolCorruptDesc, prometheus.CounterValue, float64(s.Corrupt))
	}}
}

// NewRollupDeltasCollector returns the metric of the rollup deltas that are not folded yet, for a registry. It shows
// nothing while known is false, so that alerts can distinguish absence from zero. stats must be safe for concurrent
// use.
func NewRollupDeltasCollector(stats func() (deltas int64, known bool)) prometheus.Collector {
	return sampled{[]*prometheus.Desc{rollupDeltasDesc}, func(metrics chan<- prometheus.Metric) {
		if deltas, known := stats(); known {
			metrics <- gauge(rollupDeltasDesc, float64(deltas))
		}
	}}
}
