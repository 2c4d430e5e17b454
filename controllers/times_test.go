package controllers_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	corev1 "k8s.io/api/core/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// When a slot has passed the next one is written, immediately and once.
func TestNextRunAdvancesWhenPassed(t *testing.T) {
	t.Parallel()
	w := begin(t)
	// The clock is a moment before midnight, so that its timer fires soon.
	w.stop()
	midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
	w.clock.jump(time.Until(midnight) - 4*time.Second)
	w.start()
	mr := w.settledReport("daily")
	if got := mr.Status.NextScheduleTime; got == nil || !got.Time.Equal(midnight) {
		t.Fatalf("next is %v, want %v", got, midnight)
	}
	w.eventually("next is the midnight after", func() error {
		if err := w.get(mr); err != nil {
			return err
		}
		return equal(mr.Status.NextScheduleTime.UTC(), midnight.Add(24*time.Hour))
	})
	w.clock.jump(-10 * time.Second) // before the slot that has passed
	w.reconciled(mr)
	if got := mr.Status.NextScheduleTime.UTC(); !got.Equal(midnight.Add(24 * time.Hour)) {
		t.Errorf("after the clock was set back next is %v", got)
	}
}

// series returns the value of a series about a report, and whether it exists.
func (w *fixture) series(name string, labels map[string]string) (float64, bool) {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metrics:
		for _, metric := range family.GetMetric() {
			for _, pair := range metric.GetLabel() {
				if want, ok := labels[pair.GetName()]; ok && want != pair.GetValue() {
					continue metrics
				}
			}
			return metric.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

func TestSeries(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	of := map[string]string{"report": "daily", "report_namespace": w.namespace}
	w.eventually("the next run is expected", func() error {
		by, _ := w.series("watchbill_report_expected_by_timestamp_seconds", of)
		return equal(int64(by), mr.Status.NextScheduleTime.Add(time.Hour+16*time.Minute).Unix())
	})
	if _, ok := w.series("watchbill_report_failing", of); ok {
		t.Error("a report that never ran has a series that says whether it failed")
	}
	job := w.slotJob(mr, today())
	lost := reportjob.OutputOutcome{Output: "s3://bucket", Message: "away"}
	w.pod(job, ended(corev1.PodSucceeded, 0, terminationMessage(t, made(today(), report.Fail, "missed", lost))))
	w.finish(job, "")
	w.ran(mr, job.Name)
	w.eventually("the series say so", func() error {
		var errs []error
		for name, want := range map[string]float64{
			"watchbill_report_failing": 1, "watchbill_report_last_completion_timestamp_seconds": float64(today().Add(time.Minute).Unix()),
		} {
			if got, ok := w.series(name, of); !ok || got != want {
				errs = append(errs, fmt.Errorf("%s is %v, want %v", name, got, want))
			}
		}
		for _, verdict := range []string{"Pass", "Fail", "NoData", "Error"} {
			want := 0.0
			if verdict == "Fail" {
				want = 1
			}
			got, ok := w.series("watchbill_report_verdict", map[string]string{"report": "daily", "report_namespace": w.namespace, "verdict": verdict})
			if !ok || got != want {
				errs = append(errs, fmt.Errorf("verdict %s is %v, want %v", verdict, got, want))
			}
		}
		return errors.Join(errs...)
	})

	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("the series' names: %v %v", problems, err)
	}

	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Suspend = true })
	w.eventually("nothing is expected", func() error {
		if _, ok := w.series("watchbill_report_expected_by_timestamp_seconds", of); ok {
			return errors.New("something is")
		}
		return nil
	})
	w.delete(mr)
	w.eventually("there are no series", func() error {
		n, err := seriesOf(w)
		return errors.Join(err, equal(n, 0))
	})
}
