package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// children returns the objects of the report daily.
func (w *fixture) children() []client.Object {
	return append(w.shared(),
		named(w, &batchv1.CronJob{}, "daily-report"),
		named(w, &monitoringv1.PrometheusRule{}, "daily-report"),
	)
}

// shared returns the objects that a namespace's reports share.
func (w *fixture) shared() []client.Object {
	return []client.Object{
		named(w, &corev1.ServiceAccount{}, "watchbill-report"),
		named(w, &rbacv1.Role{}, "watchbill-report"),
		named(w, &rbacv1.RoleBinding{}, "watchbill-report"),
	}
}

func TestReconcileCreatesChildren(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	for _, child := range w.children() {
		w.exists(child)
		if got := child.GetLabels()["app.kubernetes.io/managed-by"]; got != "watchbill" {
			t.Errorf("%T is managed by %q", child, got)
		}
	}
	scheduled := w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonScheduled)
	if want := "0 0 * * * in Etc/UTC"; !strings.Contains(scheduled.Message, want) {
		t.Errorf("Scheduled says %q, want %q in it", scheduled.Message, want)
	}
	w.wants(mr, v1alpha1.ConditionReportHealthy, metav1.ConditionUnknown, v1alpha1.ReasonNeverRun)
	if mr.Status.NextScheduleTime == nil || mr.Status.NextScheduleTime.UTC().Format("15:04:05") != "00:00:00" {
		t.Errorf("next is %v, want midnight", mr.Status.NextScheduleTime)
	}
	if mr.Status.LastScheduleTime != nil || mr.Status.LastRun != nil {
		t.Errorf("a report that never ran was made at %v: %v", mr.Status.LastScheduleTime, mr.Status.LastRun)
	}
}

func TestReconcileRestoresDeletedChildren(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.settledReport("daily")
	for _, child := range w.children() {
		w.exists(child)
		before := child.GetUID()
		w.delete(child)
		w.eventually(fmt.Sprintf("%T returns", child), func() error {
			if err := w.get(child); err != nil {
				return err
			}
			if child.GetUID() == before {
				return errors.New("it is the old one")
			}
			return nil
		})
	}
}

func TestReconcileKeepsForeignObjects(t *testing.T) {
	t.Parallel()
	foreign := func(w *fixture) map[string]client.Object {
		rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
		rule.Spec.Groups = []monitoringv1.RuleGroup{{Name: "theirs"}}
		return map[string]client.Object{
			v1alpha1.ConditionScheduled:      theirs(w),
			v1alpha1.ConditionRulesInstalled: rule,
			"shared":                         named(w, &corev1.ServiceAccount{}, "watchbill-report"),
		}
	}
	for _, what := range []string{v1alpha1.ConditionScheduled, v1alpha1.ConditionRulesInstalled, "shared"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			object := foreign(w)[what]
			w.create(object)
			version := object.GetResourceVersion()
			mr := w.report("daily")
			w.create(mr)
			condition := what
			if what == "shared" {
				condition = v1alpha1.ConditionScheduled
			}
			got := w.wants(mr, condition, metav1.ConditionFalse, v1alpha1.ReasonForeignObject)
			if !strings.Contains(got.Message, object.GetName()) {
				t.Errorf("%q does not name %s", got.Message, object.GetName())
			}
			w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDegraded)
			if got := w.event(mr, v1alpha1.ReasonForeignObject); !strings.Contains(got, object.GetName()) {
				t.Errorf("the event says %q", got)
			}
			if err := w.get(object); err != nil || object.GetResourceVersion() != version {
				t.Errorf("the object was touched: %v", err)
			}
			w.delete(object)
			w.settled(mr)
			if got := w.notes(mr, v1alpha1.ReasonForeignObject); len(got) != 1 {
				t.Errorf("there are %d events, want 1: %q", len(got), got)
			}
		})
	}
}

func TestDisabledAlertingDeletesRules(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	w.exists(rule)
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Alerting.Mode = v1alpha1.AlertNone })
	w.gone(rule)
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonAlertingOff)
	w.settled(mr)

	// A rule of another owner stays, and is not an error while no alerts are wanted.
	rule = named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	w.create(rule)
	w.settled(mr)
	if err := w.get(rule); err != nil {
		t.Errorf("another's rule was deleted: %v", err)
	}
}

func TestSharedObjectsAreDeletedWithLastReport(t *testing.T) {
	t.Parallel()
	w := begin(t)
	one, two := w.report("one"), w.report("two")
	w.create(one, two)
	w.settled(one)
	w.settled(two)
	w.delete(one)
	w.exists(two)
	change(w, two, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Suspend = true })
	w.wants(two, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	for _, object := range w.shared() {
		w.exists(object)
	}
	w.delete(two)
	for _, object := range w.shared() {
		w.gone(object)
	}
}

// The last report may be deleted while no controller runs.
func TestUnusedSharedObjectsAreDeletedAtStart(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	w.stop()
	w.delete(mr)
	w.gone(mr)
	w.start()
	for _, object := range w.shared() {
		w.gone(object)
	}
}

func TestNamespaceNotAllowed(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	w.stop()
	w.options.ReportNamespaces = []string{"elsewhere"}
	w.start()
	got := w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNamespaceNotAllowed)
	if !strings.Contains(got.Message, "elsewhere") {
		t.Errorf("%q does not say where reports may be", got.Message)
	}
	for _, child := range w.children() {
		w.gone(child)
	}
	if mr.Status.NextScheduleTime != nil {
		t.Errorf("the next report is said to come at %v", mr.Status.NextScheduleTime)
	}
	if n, err := seriesOf(w); err != nil || n != 0 {
		t.Errorf("there are %d series, %v", n, err)
	}
}

func TestInvalidSpecThenCorrected(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	cronJob := named(w, &batchv1.CronJob{}, "daily-report")
	w.exists(cronJob)
	before := cronJob.ResourceVersion

	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "0 0 31 2 *" })
	got := w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	if !strings.Contains(got.Message, "spec.schedule") {
		t.Errorf("%q does not name the field", got.Message)
	}
	w.event(mr, v1alpha1.ReasonInvalidSpec)
	if err := w.get(cronJob); err != nil || cronJob.ResourceVersion != before {
		t.Errorf("the CronJob was touched: %v", err)
	}
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "30 1 * * *" })
	w.settled(mr)
	if err := errors.Join(w.get(cronJob), equal(cronJob.Spec.Schedule, "30 1 * * *")); err != nil {
		t.Error(err)
	}
	if got := w.notes(mr, v1alpha1.ReasonInvalidSpec); len(got) != 1 {
		t.Errorf("there are %d events, want 1: %q", len(got), got)
	}
}

func TestInvalidSpecAtCreation(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", func(mr *v1alpha1.MonitoringReport) { mr.Spec.TimeZone = "Europe/Nowhere" })
	w.create(mr)
	w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	for _, child := range w.children() {
		if err := w.get(child); client.IgnoreNotFound(err) != nil || err == nil {
			t.Errorf("%T was made: %v", child, err)
		}
	}
}

func TestSuspended(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", func(mr *v1alpha1.MonitoringReport) { mr.Spec.Suspend = true })
	w.create(mr)
	w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	w.settled(mr)
	if mr.Status.NextScheduleTime != nil {
		t.Errorf("the next report is said to come at %v", mr.Status.NextScheduleTime)
	}
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Suspend = false })
	w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonScheduled)
	if mr.Status.NextScheduleTime == nil {
		t.Error("no report is said to come next")
	}
}

// seriesOf returns the number of series about reports.
func seriesOf(w *fixture) (int, error) {
	families, err := w.registry.Gather()
	var n int
	for _, family := range families {
		n += len(family.GetMetric())
	}
	return n, err
}

func equal[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("it is %v, want %v", got, want)
	}
	return nil
}

func inNamespace(w *fixture) client.ListOption { return client.InNamespace(w.namespace) }
