package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// A report that was deleted with --cascade=orphan and recreated adopts its former objects.
func TestOrphansAreAdopted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mode v1alpha1.AlertingMode
		rule bool // stays
	}{
		"as before":      {v1alpha1.AlertBurnRate, true},
		"without alerts": {v1alpha1.AlertNone, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			mr := w.settledReport("daily")
			w.stop()
			cronJob, rule := named(w, &batchv1.CronJob{}, "daily-report"), named(w, &monitoringv1.PrometheusRule{}, "daily-report")
			for _, object := range []client.Object{cronJob, rule} {
				change(w, object, func(object client.Object) { object.SetOwnerReferences(nil) }) // as the garbage collector does
			}
			before := cronJob.UID
			w.delete(mr)
			mr = w.report("daily", func(mr *v1alpha1.MonitoringReport) { mr.Spec.Alerting.Mode = tt.mode })
			w.create(mr)
			w.start()
			w.settled(mr)
			if err := w.get(cronJob); err != nil || cronJob.UID != before || !metav1.IsControlledBy(cronJob, mr) {
				t.Errorf("the CronJob is %s of %v, was %s: %v", cronJob.UID, cronJob.OwnerReferences, before, err)
			}
			if !tt.rule {
				w.gone(rule)
			} else if err := w.get(rule); err != nil || !metav1.IsControlledBy(rule, mr) {
				t.Errorf("the rule is of %v: %v", rule.OwnerReferences, err)
			}
		})
	}
}

// A report may be recreated before the garbage collector has removed the objects of the previous one.
func TestRecreatedReportIsReconciledImmediately(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	w.stop()
	w.delete(mr)
	mr = w.report("daily")
	w.create(mr)
	w.start()
	w.settled(mr)
	w.eventually("all is the new report's", func() error {
		for _, object := range []client.Object{named(w, &batchv1.CronJob{}, "daily-report"), named(w, &monitoringv1.PrometheusRule{}, "daily-report")} {
			if err := w.get(object); err != nil {
				return err
			}
			if !metav1.IsControlledBy(object, mr) {
				return fmt.Errorf("%T is of %v", object, object.GetOwnerReferences())
			}
		}
		return nil
	})
	if got := w.notes(mr, v1alpha1.ReasonForeignObject); len(got) > 0 {
		t.Errorf("it was said to be another's: %q", got)
	}
}

// Objects of other owners are left unchanged, and the condition names the owner.
func TestForeignObjectsAreReported(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*batchv1.CronJob)
		says   string
	}{
		"nobody's": {func(*batchv1.CronJob) {}, "did not make;"},
		"Helm's":   {func(c *batchv1.CronJob) { c.Labels = map[string]string{"app.kubernetes.io/managed-by": "Helm"} }, "managed by Helm"},
		"of an owner": {func(c *batchv1.CronJob) {
			c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Backup", Name: "nightly", UID: "1", Controller: new(true)}}
		}, "the Backup nightly"},
		"of another group's MonitoringReport": {func(c *batchv1.CronJob) {
			c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "MonitoringReport", Name: "daily", UID: "1", Controller: new(true)}}
		}, "the MonitoringReport daily"},
		"with our labels": {func(c *batchv1.CronJob) {
			c.Labels = map[string]string{"app.kubernetes.io/managed-by": "watchbill", v1alpha1.LabelReport: "daily"}
		}, v1alpha1.LabelReport + "=daily"},
		"of another report's orphan": {func(c *batchv1.CronJob) {
			c.Labels = map[string]string{"app.kubernetes.io/managed-by": "watchbill", v1alpha1.LabelReport: "weekly"}
			c.Annotations = map[string]string{v1alpha1.AnnotationAppliedHash: "1"}
		}, v1alpha1.LabelReport + "=weekly"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			cronJob := theirs(w)
			tt.change(cronJob)
			mr := w.report("daily")
			w.create(cronJob, mr)
			version := cronJob.ResourceVersion
			got := w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
			if !strings.Contains(got.Message, tt.says) {
				t.Errorf("%q does not say %q", got.Message, tt.says)
			}
			if err := w.get(cronJob); err != nil || cronJob.ResourceVersion != version {
				t.Errorf("it was touched: %v", err)
			}
		})
	}
}
