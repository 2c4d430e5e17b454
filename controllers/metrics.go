package controllers

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// metrics are the series used by alerts about reports.
type metrics struct {
	expectedBy, failing, verdict, completed *prometheus.GaugeVec
}

var verdicts = []v1alpha1.Verdict{v1alpha1.VerdictPass, v1alpha1.VerdictFail, v1alpha1.VerdictNoData, v1alpha1.VerdictError}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	var errs []error
	gauge := func(name, help string, more ...string) *prometheus.GaugeVec {
		vector := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"report_namespace", "report"}, more...))
		err := registry.Register(vector)
		if known := (prometheus.AlreadyRegisteredError{}); errors.As(err, &known) {
			if existing, ok := known.ExistingCollector.(*prometheus.GaugeVec); ok {
				return existing // registered by an earlier controller of this process
			}
		}
		errs = append(errs, err)
		return vector
	}
	m := &metrics{
		expectedBy: gauge("watchbill_report_expected_by_timestamp_seconds", "When the next run of a report must be over, or it is overdue; none while it is suspended."),
		failing:    gauge("watchbill_report_failing", "1 if a report's last run made no report, or did not deliver it everywhere."),
		verdict:    gauge("watchbill_report_verdict", "1 for the verdict of a report's last run.", "verdict"),
		completed:  gauge("watchbill_report_last_completion_timestamp_seconds", "When a report's last run was over."),
	}
	return m, errors.Join(errs...)
}

func (m *metrics) all() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{m.expectedBy, m.failing, m.verdict, m.completed}
}

// remove removes the series of a report.
func (m *metrics) remove(report types.NamespacedName) {
	for _, vector := range m.all() {
		vector.DeletePartialMatch(prometheus.Labels{"report_namespace": report.Namespace, "report": report.Name})
	}
}

// setRun sets the series of a report's last run, if there was one.
func (m *metrics) setRun(report types.NamespacedName, run *v1alpha1.Run) {
	if run == nil {
		return
	}
	failing := 0.0
	if run.Verdict == v1alpha1.VerdictError || len(undelivered(run)) > 0 {
		failing = 1
	}
	m.failing.WithLabelValues(report.Namespace, report.Name).Set(failing)
	for _, verdict := range verdicts {
		value := 0.0
		if run.Verdict == verdict {
			value = 1
		}
		m.verdict.WithLabelValues(report.Namespace, report.Name, string(verdict)).Set(value)
	}
	if run.CompletedAt != nil {
		m.completed.WithLabelValues(report.Namespace, report.Name).Set(float64(run.CompletedAt.Unix()))
	}
}

// setExpected sets the deadline of a report's next run; zero if none is expected.
func (m *metrics) setExpected(report types.NamespacedName, by time.Time) {
	if by.IsZero() {
		m.expectedBy.DeleteLabelValues(report.Namespace, report.Name)
		return
	}
	m.expectedBy.WithLabelValues(report.Namespace, report.Name).Set(float64(by.Unix()))
}

// measure sets a report's series from its status.
func (r *Reconciler) measure(seen *observed, o *outcome) {
	key := types.NamespacedName{Namespace: seen.report.Namespace, Name: seen.report.Name}
	if !r.opts.allowed(key.Namespace) {
		r.metrics.remove(key)
		return
	}
	r.metrics.setRun(key, o.status.LastRun)
	now := r.now()
	table, ok := timetableOf(o.cronJob, now)
	if !ok {
		r.metrics.setExpected(key, time.Time{})
		return
	}
	since := r.memory.of(seen.report).scheduledSince(o.cronJob, now)
	r.metrics.setExpected(key, expectedBy(table, later(since, appliedSince(seen, o)), doneSlot(seen, o.status.LastRun)))
}
