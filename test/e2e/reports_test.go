//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// slotWithin limits the wait for the next minute's report: the rest of the minute, and the Pod's start and run.
const slotWithin = 100 * time.Second

// applied applies a manifest of testdata in a namespace.
func applied(t *testing.T, file, namespace string, replace ...string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	manifest := strings.NewReplacer(append(replace, "@NAMESPACE@", namespace)...).Replace(string(text))
	kubectl(t, manifest, "-n", namespace, "apply", "-f", "-")
}

func monitoringReport(ctx context.Context, namespace, name string) (*v1alpha1.MonitoringReport, error) {
	var mr v1alpha1.MonitoringReport
	return &mr, cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &mr)
}

// condition returns an error if a report's condition differs from the wanted one.
func condition(mr *v1alpha1.MonitoringReport, kind, status, reason string) error {
	c := meta.FindStatusCondition(mr.Status.Conditions, kind)
	if c == nil {
		return fmt.Errorf("%s has no condition %s", mr.Name, kind)
	}
	if string(c.Status) != status || c.Reason != reason {
		return fmt.Errorf("%s is %s, %s: %s", kind, c.Status, c.Reason, c.Message)
	}
	return nil
}

func conditionIs(t *testing.T, within time.Duration, namespace, name, kind, status, reason string) {
	t.Helper()
	what := fmt.Sprintf("%s of %s is %s, %s", kind, name, status, reason)
	eventually(t, within, what, func(ctx context.Context) error {
		mr, err := monitoringReport(ctx, namespace, name)
		if err != nil {
			return err
		}
		return condition(mr, kind, status, reason)
	})
}

// testReports tests reports for some minutes, with parallel subtests.
func testReports(t *testing.T, r *release, v visitor) {
	applied(t, "minutely.yaml", r.namespace)
	applyStrict(t, r) // now, so that its rules record usual values before the fault
	t.Run("beside", func(t *testing.T) {
		t.Run("Slots", func(t *testing.T) { t.Parallel(); testSlots(t, r, v) })
		t.Run("Agreement", func(t *testing.T) { t.Parallel(); testAgreement(t, r) })
		t.Run("Elsewhere", func(t *testing.T) { t.Parallel(); testElsewhere(t, r) })
	})
}

// testSlots follows a report over two scheduled minutes to all its outputs.
func testSlots(t *testing.T, r *release, v visitor) {
	conditionIs(t, 30*time.Second, r.namespace, "minutely", v1alpha1.ConditionReady, "True", v1alpha1.ReasonReconciled)
	conditionIs(t, 30*time.Second, r.namespace, "minutely", v1alpha1.ConditionRulesInstalled, "False", v1alpha1.ReasonAlertingOff)

	first := nextRun(t, r, time.Time{})
	checkPod(t, r, first.Job)
	deleteLeader(t, r) // the next slot is for another controller
	second := nextRun(t, r, first.Window.To.Time)
	if !second.Window.From.Equal(&first.Window.To) {
		t.Errorf("the first report ends at %s, the second begins at %s", first.Window.To, second.Window.From)
	}
	for _, run := range []v1alpha1.Run{first, second} {
		slot := run.Window.To.UTC()
		if run.Verdict != v1alpha1.VerdictPass && run.Window != first.Window || slices.Contains([]v1alpha1.Verdict{"", v1alpha1.VerdictError}, run.Verdict) {
			t.Errorf("the verdict of %s is %q: %s", slot, run.Verdict, run.Summary)
		}
		if length := run.Window.To.Sub(run.Window.From.Time); length != time.Minute || !slot.Truncate(time.Minute).Equal(slot) {
			t.Errorf("the report of %s is of %s", slot, length)
		}
		checkFiles(t, v, run.ReportID, slot)
	}
	conditionIs(t, 10*time.Second, r.namespace, "minutely", v1alpha1.ConditionReportHealthy, "True", v1alpha1.ReasonDelivered)
	mr, err := monitoringReport(t.Context(), r.namespace, "minutely")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range mr.Status.Objectives {
		if o.Target == "" || o.Actual == "" || o.Met == nil || !*o.Met {
			t.Errorf("objective %s: target %q, actual %q, met %v", o.Name, o.Target, o.Actual, o.Met)
		}
	}
	if len(mr.Status.Objectives) != 3 || mr.Status.LastScheduleTime == nil || mr.Status.NextScheduleTime == nil {
		t.Errorf("status is %+v", mr.Status)
	}
	checkDeliveries(t, v, second)
	runNow(t, r, second)
	suspend(t, r)
}

// nextRun waits for a scheduled run after a slot.
func nextRun(t *testing.T, r *release, after time.Time) (run v1alpha1.Run) {
	t.Helper()
	eventually(t, slotWithin, "a report is made by the schedule", func(ctx context.Context) error {
		mr, err := monitoringReport(ctx, r.namespace, "minutely")
		if err != nil {
			return err
		}
		last := mr.Status.LastRun
		if last == nil || last.CompletedAt == nil || last.Window == nil || !last.Window.To.After(after) {
			return fmt.Errorf("the last run is %+v", last)
		}
		run = *last
		return nil
	})
	return run
}

// checkPod checks the Pod that made a report: it ran, has no permissions in Kubernetes, and no database access.
func checkPod(t *testing.T, r *release, job string) {
	t.Helper()
	made := pods(t.Context(), t, r.namespace, batchv1.JobNameLabel+"="+job)
	if len(made) != 1 || made[0].Status.Phase != corev1.PodSucceeded {
		t.Fatalf("Job %s has the Pods %v", job, made)
	}
	pod := made[0]
	if pod.Spec.ServiceAccountName != "watchbill-report" || pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
		t.Errorf("its account is %s, mounted: %v", pod.Spec.ServiceAccountName, pod.Spec.AutomountServiceAccountToken)
	}
	for _, volume := range pod.Spec.Volumes {
		if volume.Projected == nil {
			continue
		}
		for _, source := range volume.Projected.Sources {
			if token := source.ServiceAccountToken; token != nil && token.Audience != "watchbill" {
				t.Errorf("it has a token for %q", token.Audience)
			}
		}
	}
	for _, variable := range pod.Spec.Containers[0].Env {
		if strings.Contains(variable.Name, "DATABASE") || variable.ValueFrom != nil && variable.ValueFrom.SecretKeyRef != nil {
			t.Errorf("it has the variable %s", variable.Name)
		}
	}
	account := "system:serviceaccount:" + r.namespace + ":watchbill-report"
	if out, _ := tryKubectl(t.Context(), "", "-n", r.namespace, "auth", "can-i", "get", "secrets", "--as", account); out != "no" {
		t.Errorf("may %s read secrets? %s", account, out)
	}
}

// checkFiles checks that a report is in the volume and in the API.
func checkFiles(t *testing.T, v visitor, id string, slot time.Time) {
	t.Helper()
	for _, format := range []string{"json", "html"} {
		name := reportjob.FileName("minutely", slot, report.Format(format))
		content, err := v.ask(t.Context(), http.MethodGet, "files/minutely/"+name, nil)
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Contains(content, []byte(id)) || format == "html" && !bytes.HasPrefix(content, []byte("<!doctype html>")) && !bytes.HasPrefix(content, []byte("<!DOCTYPE html>")) {
			t.Errorf("%s is not the report %s: %.200s", name, id, content)
		}
	}
}

// checkDeliveries checks the deliveries of a run.
func checkDeliveries(t *testing.T, v visitor, run v1alpha1.Run) {
	t.Helper()
	for _, box := range []string{"slack", "generic"} {
		deliveries, err := v.deliveries(t.Context(), box)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, delivery := range deliveries {
			if strings.Contains(delivery.Body, run.ReportID) {
				found = append(found, delivery.Body)
			}
		}
		if len(found) != 1 {
			t.Errorf("report %s came %d times to %s, which has %d deliveries", run.ReportID, len(found), box, len(deliveries))
			continue
		}
		var slack struct {
			Text   string `json:"text"`
			Blocks []any  `json:"blocks"`
		}
		var document openapi.Report
		switch box {
		case "slack":
			if err := json.Unmarshal([]byte(found[0]), &slack); err != nil || slack.Text == "" || len(slack.Blocks) == 0 {
				t.Errorf("to Slack went %s, %v", found[0], err)
			}
		default:
			if err := json.Unmarshal([]byte(found[0]), &document); err != nil || document.ID != run.ReportID {
				t.Errorf("the report that came is %s, %v", document.ID, err)
			}
		}
	}
}

// stored returns the reports of minutely, by the ends of their windows.
func stored(t *testing.T, a api, namespace string) map[time.Time][]string {
	t.Helper()
	var list openapi.ReportList
	a.must(t, http.MethodGet, "/api/reports?limit=500&name=minutely&namespace="+namespace, nil, &list)
	ids := map[time.Time][]string{}
	for _, s := range list.Reports {
		ids[s.Window.To.UTC()] = append(ids[s.Window.To.UTC()], s.ID)
	}
	return ids
}

// runNow requests a report of a slot that has one: it is regenerated and replaces the old one.
func runNow(t *testing.T, r *release, run v1alpha1.Run) {
	t.Helper()
	a := r.api(t)
	slot := run.Window.To.UTC()
	if got := stored(t, a, r.namespace)[slot]; !slices.Equal(got, []string{run.ReportID}) {
		t.Errorf("reports of %s: %v, want %s", slot, got, run.ReportID)
	}
	request := slot.Format(time.RFC3339)
	kubectl(t, "", "-n", r.namespace, "annotate", "mrep", "minutely", v1alpha1.AnnotationRunRequestedAt+"="+request)
	job := fmt.Sprintf("minutely-report-now-%d", slot.Unix()/60)
	eventually(t, time.Minute, "a report that was asked for is made", func(ctx context.Context) error {
		mr, err := monitoringReport(ctx, r.namespace, "minutely")
		if err != nil {
			return err
		}
		if mr.Status.LastHandledRunRequest != request {
			return fmt.Errorf("the request that was handled is %q", mr.Status.LastHandledRunRequest)
		}
		var made batchv1.Job
		if err := cluster.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: job}, &made); err != nil {
			return err
		}
		if made.Status.Succeeded != 1 {
			return fmt.Errorf("Job %s: %+v", job, made.Status)
		}
		return nil
	})
	if got := stored(t, a, r.namespace)[slot]; len(got) != 1 || got[0] == run.ReportID {
		t.Errorf("reports of %s: %v, want another than %s", slot, got, run.ReportID)
	}
}

// suspend suspends the report. stoppedSince checks after some minutes that no other was made.
func suspend(t *testing.T, r *release) {
	t.Helper()
	kubectl(t, "", "-n", r.namespace, "patch", "mrep", "minutely", "--type=merge", "-p", `{"spec":{"suspend":true}}`)
	conditionIs(t, 20*time.Second, r.namespace, "minutely", v1alpha1.ConditionScheduled, "False", v1alpha1.ReasonSuspended)
	mr, err := monitoringReport(t.Context(), r.namespace, "minutely")
	if err != nil {
		t.Fatal(err)
	}
	if mr.Status.NextScheduleTime != nil {
		t.Errorf("the next report is due at %s", mr.Status.NextScheduleTime)
	}
}

// stoppedSince checks that a suspended report was not made any more.
func stoppedSince(t *testing.T, r *release) {
	t.Helper()
	mr, err := monitoringReport(t.Context(), r.namespace, "minutely")
	if err != nil {
		t.Fatal(err)
	}
	if err := condition(mr, v1alpha1.ConditionScheduled, "False", v1alpha1.ReasonSuspended); err != nil {
		t.Fatal(err)
	}
	since := meta.FindStatusCondition(mr.Status.Conditions, v1alpha1.ConditionScheduled).LastTransitionTime
	if gone := time.Since(since.Time); gone < 2*time.Minute {
		t.Fatalf("it was suspended %s ago, which says nothing", gone)
	}
	var jobs batchv1.JobList
	if err := cluster.List(t.Context(), &jobs, client.InNamespace(r.namespace), client.MatchingLabels{v1alpha1.LabelReport: "minutely"}); err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs.Items {
		if job.CreationTimestamp.After(since.Time) {
			t.Errorf("Job %s was made at %s, after the suspension", job.Name, job.CreationTimestamp)
		}
	}
}

// testElsewhere checks that only this namespace's reports are made, and that only their ServiceAccount may make them.
func testElsewhere(t *testing.T, r *release) {
	kubectl(t, "apiVersion: monitoring.watchbill.dev/v1alpha1\nkind: MonitoringReport\nmetadata: {name: foreign}\nspec: {schedule: '* * * * *'}\n",
		"-n", otherNamespace, "apply", "-f", "-")
	conditionIs(t, 30*time.Second, otherNamespace, "foreign", v1alpha1.ConditionReady, "False", v1alpha1.ReasonNamespaceNotAllowed)
	if out := kubectl(t, "", "-n", otherNamespace, "get", "cronjobs,roles,rolebindings", "-o", "name"); out != "" {
		t.Errorf("it became %s", out)
	}
	token := func(namespace, account string, args ...string) string {
		return kubectl(t, "", append([]string{"-n", namespace, "create", "token", account}, args...)...)
	}
	a := r.api(t)
	now := time.Now().UTC().Truncate(time.Minute)
	request := openapi.CreateReportRequest{Name: "minutely", From: now.Add(-time.Hour), To: now}
	for _, tt := range []struct {
		who, token, code string
	}{
		{"an account of another namespace", token(otherNamespace, "default", "--audience=watchbill"), "forbidden"},
		{"another account of this namespace", token(r.namespace, "default", "--audience=watchbill"), "forbidden"},
		{"a token for Kubernetes", token(r.namespace, "watchbill-report"), "token_refused"},
		{"no token of a ServiceAccount", "nonsense", "forbidden"},
	} {
		status, text, err := a.as(tt.token).ask(t.Context(), http.MethodPost, "/api/reports", request, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status != http.StatusForbidden || !strings.Contains(text, `"code":"`+tt.code+`"`) {
			t.Errorf("%s makes a report: %d %s", tt.who, status, text)
		}
		status, text, err = a.as(tt.token).ask(t.Context(), http.MethodGet, "/api/reports?namespace="+r.namespace, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status != http.StatusForbidden {
			t.Errorf("%s lists reports: %d %s", tt.who, status, text)
		}
	}
	var list openapi.ReportList
	a.as(token(r.namespace, "watchbill-report", "--audience=watchbill")).must(t, http.MethodGet, "/api/reports", nil, &list)
	for _, s := range list.Reports {
		if s.Namespace != r.namespace {
			t.Errorf("the reports' account sees a report of %q", s.Namespace)
		}
	}
}
