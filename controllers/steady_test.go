package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
)

// prometheus creates a Prometheus that selects all rules of the world's namespace, and none of other tests.
func (w *fixture) prometheus() {
	w.create(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
		"metadata": map[string]any{"namespace": w.namespace, "name": "all"},
		"spec":     map[string]any{"ruleSelector": map[string]any{}},
	}})
}

// measured waits until that many reports were reconciled since the controller started: each then has a series.
func (w *fixture) measured(reports int) {
	w.t.Helper()
	within := max(30*time.Second, time.Duration(reports)*100*time.Millisecond)
	w.eventuallyWithin(within, fmt.Sprintf("%d reports have series", reports), func() error {
		families, err := w.registry.Gather()
		if err != nil {
			return err
		}
		for _, family := range families {
			if family.GetName() == "watchbill_report_expected_by_timestamp_seconds" {
				return equal(len(family.GetMetric()), reports)
			}
		}
		return errors.New("there are none")
	})
}

func TestNoWriteInSteadyState(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.prometheus()
	variants := map[string]func(*v1alpha1.MonitoringReport){
		"plain": func(*v1alpha1.MonitoringReport) {},
		"none":  func(mr *v1alpha1.MonitoringReport) { mr.Spec.Alerting.Mode = v1alpha1.AlertNone },
		"often": func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "@every 90m" },
		"labels": func(mr *v1alpha1.MonitoringReport) {
			mr.Spec.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{"a": "b"}
		},
		"outputs": func(mr *v1alpha1.MonitoringReport) {
			mr.Spec.Outputs = []v1alpha1.Output{
				{Format: v1alpha1.FormatHTML, PersistentVolumeClaim: &v1alpha1.VolumeOutput{ClaimName: "reports", Path: "daily"}},
				{Format: v1alpha1.FormatJSON, S3: &v1alpha1.S3Output{Bucket: "bucket", Endpoint: "https://s3.example", SecretRef: v1alpha1.SecretReference{Name: "s3"}}},
				{Format: v1alpha1.FormatMarkdown, Webhook: &v1alpha1.WebhookOutput{URLSecretRef: v1alpha1.SecretKeyReference{Name: "hook", Key: "url"}, Style: v1alpha1.WebhookSlack}},
			}
		},
	}
	for name, change := range variants {
		w.settledReport(name, change)
	}
	ran := w.report("plain")
	if err := w.get(ran); err != nil {
		t.Fatal(err)
	}
	job := w.slotJob(ran, today())
	w.pod(job, ended(corev1.PodSucceeded, 0, terminationMessage(t, made(today(), report.Pass, "Pass"))))
	w.finish(job, "")
	w.ran(ran, job.Name)
	w.quiet()

	// Every report is reconciled again, without any state of the last time.
	w.stop()
	w.writes.take()
	w.start()
	w.measured(len(variants))
	if got := w.writes.take(); len(got) > 0 {
		t.Errorf("a controller that began wrote, though all was as it should be: %q", got)
	}

	// Every report is reconciled again, because a shared object changed.
	account := named(w, &corev1.ServiceAccount{}, "watchbill-report")
	change(w, account, func(a *corev1.ServiceAccount) { a.Annotations["example.com/theirs"] = "x" })
	cronJob := named(w, &batchv1.CronJob{}, "often-report")
	change(w, cronJob, func(c *batchv1.CronJob) { c.Labels["theirs"] = "x" })
	w.reconciled(ran)
	got := w.writes.take()
	if want := []string{"PUT /apis/monitoring.watchbill.dev/v1alpha1/namespaces/" + w.namespace + "/monitoringreports/plain/status"}; !slices.Equal(got, want) {
		t.Errorf("the writes are %q, want only the echo %q", got, want)
	}
}

// quiet waits until the controller has written nothing for a moment, since its own writes trigger reconciles.
func (w *fixture) quiet() {
	w.t.Helper()
	last := time.Now()
	w.eventually("the controller writes no more", func() error {
		if got := w.writes.take(); len(got) > 0 {
			last = time.Now()
		}
		if time.Since(last) < 500*time.Millisecond {
			return errors.New("it does")
		}
		return nil
	})
}

// TestManyReports compares the cost of many reports with limits. WATCHBILL_SCALE is their number; 1000 take a minute on two
// cores, most of it in the API server.
func TestManyReports(t *testing.T) {
	reports := 50
	if scale := os.Getenv("WATCHBILL_SCALE"); scale != "" {
		n, err := strconv.Atoi(scale)
		if err != nil {
			t.Fatalf("WATCHBILL_SCALE: %v", err)
		}
		reports = n
	}
	w := prepare(t, cluster.Config)
	w.prometheus()
	w.start()
	began := time.Now()
	soon := began.UTC().Hour() + 2 // none may become due in the meantime, since that is written
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(8)
	for i := range reports {
		group.Go(func() error {
			return w.client.Create(ctx, w.report(fmt.Sprintf("report-%d", i), func(mr *v1alpha1.MonitoringReport) {
				mr.Spec.Schedule = fmt.Sprintf("%d %d * * *", i%60, (soon+i%20)%24)
			}))
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	created := time.Since(began)
	w.allReady(reports)
	ready := time.Since(began)
	w.measured(reports)
	w.quiet()
	var heap runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&heap)
	t.Logf("%d reports: created in %.1f s, all Ready after %.1f s, heap %d MiB", reports, created.Seconds(), ready.Seconds(), heap.HeapAlloc>>20)

	w.stop()
	w.writes.take()
	began = time.Now()
	w.start()
	w.measured(reports)
	idle := w.writes.take()
	t.Logf("all reconciled again after a restart in %.1f s, %d writes", time.Since(began).Seconds(), len(idle))
	if len(idle) > 0 {
		t.Errorf("a restart wrote %d times, first %s", len(idle), idle[0])
	}
}

// allReady waits until all reports are Ready, and compares the number of writes with the limit.
func (w *fixture) allReady(reports int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		var list v1alpha1.MonitoringReportList
		if err := w.client.List(ctx, &list, inNamespace(w)); err != nil {
			w.t.Fatal(err)
		}
		ready := 0
		for _, mr := range list.Items {
			if meta.IsStatusConditionTrue(mr.Status.Conditions, v1alpha1.ConditionReady) {
				ready++
			}
		}
		if ready == reports {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("%d of %d reports are Ready", ready, reports)
		}
	}
	writes := w.writes.take()
	kinds := map[string]int{}
	for _, write := range writes {
		parts := strings.Split(write, "/")
		for i, part := range parts {
			if part == "namespaces" {
				kinds[parts[i+2]]++
			}
		}
	}
	w.t.Logf("%.2f writes a report: %v", float64(len(writes))/float64(reports), kinds)
	if len(writes) > 4*reports {
		w.t.Errorf("%d writes for %d reports, want at most 4 each", len(writes), reports)
	}
}

// To check for unknown fields the API server decodes each write a second time.
func TestWritesAreNotSearchedForUnknownFields(t *testing.T) {
	t.Parallel()
	w := prepare(t, cluster.Config)
	var mu sync.Mutex
	var writes, searched []string
	config := rest.CopyConfig(w.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &refusing{next: next, paths: func(r *http.Request) bool {
			resource := strings.Contains(r.URL.Path, "/cronjobs") || strings.Contains(r.URL.Path, "/prometheusrules") ||
				strings.HasSuffix(r.URL.Path, "/daily/status")
			if r.Method == http.MethodGet || !resource {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			writes = append(writes, r.Method+" "+r.URL.Path)
			if r.URL.Query().Get("fieldValidation") != metav1.FieldValidationIgnore {
				searched = append(searched, r.Method+" "+r.URL.Path)
			}
			return false
		}}
	})
	w.config = config
	w.start()
	mr := w.settledReport("daily")
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "1 0 * * *" })
	w.reconciled(mr)
	mu.Lock()
	defer mu.Unlock()
	if len(writes) < 4 || len(searched) > 0 {
		t.Errorf("of the writes %q these are searched: %q", writes, searched)
	}
}
