package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
)

const (
	crdOfReports  = "config/crd/bases"
	crdsOfMonitor = "controllers/testdata/monitoring"
)

// cluster is an API server with the Prometheus operator's kinds, used by most tests.
var cluster *kubetest.Cluster

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // of client-go; each test sets its controller's log
	// controller-runtime leaks two goroutines if a controller is stopped before its cache is filled.
	const unfilled = "sigs.k8s.io/controller-runtime/pkg/cache.newMultiNamespaceInformer"
	os.Exit(kubetest.Main(m, &cluster, kubetest.Options{CRDs: []string{crdOfReports, crdsOfMonitor}},
		goleak.IgnoreAnyFunction(unfilled+".func1"), goleak.IgnoreAnyFunction(unfilled+"HandlerRegistration.func1")))
}

// fixture is a namespace with its own controller.
type fixture struct {
	t         testing.TB
	client    client.Client // without a cache
	config    *rest.Config
	namespace string
	options   controllers.ManagerOptions
	registry  *prometheus.Registry
	clock     *clock
	writes    *writes // of the controller
	stop      func()  // stops the controller and waits for it
}

// begin creates a namespace and starts a controller for it alone, with options modified by change.
func begin(t testing.TB, change ...func(*controllers.ManagerOptions)) *fixture {
	t.Helper()
	w := prepare(t, cluster.Config, change...)
	w.start()
	return w
}

// prepare creates a namespace without starting a controller.
func prepare(t testing.TB, config *rest.Config, change ...func(*controllers.ManagerOptions)) *fixture {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, monitoringv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	http, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(http.CloseIdleConnections)
	c, err := client.New(config, client.Options{Scheme: s, HTTPClient: http})
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	w := &fixture{t: t, client: c, config: config, namespace: namespace.Name, clock: &clock{}, writes: &writes{}}
	w.options = controllers.ManagerOptions{
		Options: controllers.Options{
			Desired:          desired.Options{Image: "example.com/watchbill:1", Server: "http://watchbill.example"},
			ReportNamespaces: []string{namespace.Name},
			Now:              w.clock.now,
		},
		MetricsListen:   "0",
		HealthListen:    "0",
		WatchNamespaces: []string{namespace.Name, "default"},
		Log:             testr.NewWithInterface(quiet{t}, testr.Options{}),
	}
	for _, change := range change {
		change(&w.options)
	}
	return w
}

// start starts the controller, again if it was stopped.
func (w *fixture) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	config := rest.CopyConfig(w.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return w.writes.of(next) })
	w.registry = prometheus.NewRegistry()
	w.options.Registry = w.registry
	mgr, err := controllers.NewManager(ctx, config, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the controller ended with %v", err)
		}
		mgr.GetHTTPClient().CloseIdleConnections()
	})
	w.t.Cleanup(w.stop)
}

// quiet logs errors only.
type quiet struct{ t testing.TB }

func (q quiet) Helper() { q.t.Helper() }
func (q quiet) Log(args ...any) {
	if text := fmt.Sprint(args...); strings.Contains(text, `"error"=`) || os.Getenv("WATCHBILL_TEST_LOG") != "" {
		_, _ = fmt.Fprintln(os.Stderr, q.t.Name(), text) // the controller may briefly outlive t
	}
}

// clock is the current time with an adjustable shift.
type clock struct{ shift atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.shift.Load())) }
func (c *clock) jump(by time.Duration) { c.shift.Add(int64(by)) }

// writes records the requests that change the cluster, except events and the leader's Lease.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) of(next http.RoundTripper) http.RoundTripper { return &writesOf{w, next} }

type writesOf struct {
	writes *writes
	next   http.RoundTripper
}

func (w *writesOf) RoundTrip(r *http.Request) (*http.Response, error) {
	path := r.URL.Path
	if r.Method != http.MethodGet && !strings.Contains(path, "/events") && !strings.Contains(path, "/leases") {
		w.writes.mu.Lock()
		w.writes.all = append(w.writes.all, r.Method+" "+path)
		w.writes.mu.Unlock()
	}
	return w.next.RoundTrip(r)
}

// take returns the writes since it was last called.
func (w *writes) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.all
	w.all = nil
	return taken
}

// report returns a minimal MonitoringReport, modified by change.
func (w *fixture) report(name string, change ...func(*v1alpha1.MonitoringReport)) *v1alpha1.MonitoringReport {
	mr := &v1alpha1.MonitoringReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec:       v1alpha1.MonitoringReportSpec{Schedule: "0 0 * * *"},
	}
	for _, change := range change {
		change(mr)
	}
	return mr
}

// create creates objects.
func (w *fixture) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		if err := w.client.Create(context.Background(), object); err != nil {
			w.t.Fatalf("create %T %s: %v", object, object.GetName(), err)
		}
	}
}

// change modifies an object, retrying conflicts.
func change[T client.Object](w *fixture, object T, change func(T)) {
	w.t.Helper()
	w.eventually("an object is changed", func() error {
		if err := w.get(object); err != nil {
			return err
		}
		change(object)
		return w.client.Update(context.Background(), object)
	})
}

func (w *fixture) delete(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		// The default for a Job is to orphan its Pods, which is the work of the garbage collector, and none runs here.
		if err := w.client.Delete(context.Background(), object, client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *fixture) get(object client.Object) error {
	return w.client.Get(context.Background(), client.ObjectKeyFromObject(object), object)
}

// named returns an empty object of a name in the namespace.
func named[T client.Object](w *fixture, object T, name string) T {
	object.SetNamespace(w.namespace)
	object.SetName(name)
	return object
}

// eventually polls until check returns no error.
func (w *fixture) eventually(what string, check func() error) {
	w.t.Helper()
	w.eventuallyWithin(30*time.Second, what, check)
}

func (w *fixture) eventuallyWithin(within time.Duration, what string, check func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("timed out waiting until %s: %v", what, err)
		}
	}
}

// exists waits until an object exists.
func (w *fixture) exists(object client.Object) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("there is %T %s", object, object.GetName()), func() error { return w.get(object) })
}

// gone waits until an object does not exist.
func (w *fixture) gone(object client.Object) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%T %s is gone", object, object.GetName()), func() error {
		err := w.get(object)
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
}

// wants waits until a report's condition has a status and reason for the current generation, and returns it.
func (w *fixture) wants(mr *v1alpha1.MonitoringReport, condition string, status metav1.ConditionStatus, reason string) metav1.Condition {
	w.t.Helper()
	var found metav1.Condition
	w.eventually(fmt.Sprintf("%s is %s %s", condition, status, reason), func() error {
		if err := w.get(mr); err != nil {
			return err
		}
		c := meta.FindStatusCondition(mr.Status.Conditions, condition)
		if c == nil || c.Status != status || c.Reason != reason || mr.Status.ObservedGeneration != mr.Generation {
			return fmt.Errorf("generation %d: %+v", mr.Generation, mr.Status.Conditions)
		}
		found = *c
		return nil
	})
	return found
}

// settledReport creates a report and waits until it is Ready.
func (w *fixture) settledReport(name string, change ...func(*v1alpha1.MonitoringReport)) *v1alpha1.MonitoringReport {
	w.t.Helper()
	mr := w.report(name, change...)
	w.create(mr)
	w.settled(mr)
	return mr
}

// settled waits until a report is Ready.
func (w *fixture) settled(mr *v1alpha1.MonitoringReport) {
	w.t.Helper()
	w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReconciled)
}

// event waits until there is an event about a report with a reason, and returns its text.
func (w *fixture) event(mr *v1alpha1.MonitoringReport, reason string) string {
	w.t.Helper()
	var text string
	w.eventually("there is an event "+reason, func() error {
		notes := w.notes(mr, reason)
		if len(notes) == 0 {
			return errors.New("there is none")
		}
		text = notes[len(notes)-1]
		return nil
	})
	return text
}

// notes returns the texts of a report's events with a reason.
func (w *fixture) notes(mr *v1alpha1.MonitoringReport, reason string) []string {
	w.t.Helper()
	var events corev1.EventList
	if err := w.client.List(context.Background(), &events, client.InNamespace(w.namespace)); err != nil {
		w.t.Fatal(err)
	}
	var notes []string
	for _, e := range events.Items {
		if e.InvolvedObject.UID == mr.UID && e.Reason == reason {
			notes = append(notes, e.Message)
		}
	}
	return notes
}
