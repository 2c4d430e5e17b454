package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
	"github.com/watchbill/watchbill/test/rig"
)

const (
	controllerUser      = "watchbill-controller"
	controllerNamespace = "watchbill" // for its Lease and Events, without reports
	reportNamespaces    = 10
)

// cluster is an API server with MonitoringReports.
type cluster struct {
	server     *kubetest.Cluster
	client     client.WithWatch // an administrator's client
	kubeconfig string           // the controller's file
	audit      string           // the log of all writes
	reports    int
}

// startCluster starts an API server with the CustomResourceDefinitions of a folder, the given number of reports with
// five objectives each, spread over namespaces, and a Prometheus that selects their rules. The caller must close it.
func startCluster(ctx context.Context, dir, definitions string, reports int) (_ *cluster, err error) {
	log.SetLogger(logr.Discard()) // client-go's; failures are returned as errors
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig"), audit: filepath.Join(dir, "audit.log"), reports: reports}
	c.server, err = kubetest.Start(kubetest.Options{CRDs: []string{definitions}, PrometheusOperator: true, AuditLog: c.audit})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.prepare(ctx), c.fill(ctx)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *cluster) close() error { return c.server.Stop() }

// prepare creates the administrator's client and the controller's account. That is an ordinary account, like a
// ServiceAccount, so that the API server's priority and fairness applies to its requests.
func (c *cluster) prepare(ctx context.Context) error {
	s := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(s), v1alpha1.AddToScheme(s)); err != nil {
		return err
	}
	config := rest.CopyConfig(c.server.Config)
	config.QPS = -1
	var err error
	if c.client, err = client.NewWithWatch(config, client.Options{Scheme: s}); err != nil {
		return err
	}
	user, err := c.server.Environment().AddUser(envtest.User{Name: controllerUser}, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.kubeconfig, kubeconfig, 0o600); err != nil {
		return err
	}
	return c.client.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: controllerUser},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: controllerUser}},
	})
}

// fill creates namespaces, a Prometheus and the reports.
func (c *cluster) fill(ctx context.Context) error {
	namespaces := []string{controllerNamespace}
	for i := range reportNamespaces {
		namespaces = append(namespaces, reportNamespace(i))
	}
	for _, name := range namespaces {
		if err := c.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return err
		}
	}
	err := c.client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
		"metadata": map[string]any{"namespace": controllerNamespace, "name": "all"},
		"spec":     map[string]any{"ruleSelector": map[string]any{}, "ruleNamespaceSelector": map[string]any{}},
	}})
	if err != nil {
		return err
	}
	now := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range c.reports {
		group.Go(func() error { return c.client.Create(ctx, monitoringReport(i, now)) })
	}
	return group.Wait()
}

func reportNamespace(i int) string { return fmt.Sprintf("fleet-%d", i%reportNamespaces) }

// monitoringReport returns a report with five objectives, all with burn-rate alerts, which have many rules. It is not
// due for hours, since its status would change then.
func monitoringReport(i int, now time.Time) *v1alpha1.MonitoringReport {
	return &v1alpha1.MonitoringReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: reportNamespace(i), Name: fmt.Sprintf("report-%04d", i)},
		Spec: v1alpha1.MonitoringReportSpec{
			Schedule: fmt.Sprintf("%d %d * * *", i%60, (now.UTC().Hour()+3+i%20)%24),
			Objectives: []v1alpha1.Objective{
				{Name: "polls", Latency: &v1alpha1.LatencyObjective{Method: "GET", Route: "/api/deployments/pending/{agent_id}", Quantile: "0.99", Threshold: "200ms"}},
				{Name: "creations", Latency: &v1alpha1.LatencyObjective{Method: "POST", Route: "/api/deployments", Quantile: "0.95", Threshold: "500ms"}},
				{Name: "errors", ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.01"}},
				{Name: "queries", QueryTime: &v1alpha1.QueryTimeObjective{Quantile: "0.99", Threshold: "100ms"}},
				{Name: "executions", SuccessRate: &v1alpha1.SuccessObjective{Min: "0.95"}},
			},
		},
	}
}

// awaitReady starts a controller and returns it when every report is Ready. It returns the controller also with an
// error, if it was started.
func (c *cluster) awaitReady(ctx context.Context, start func() (*rig.Controller, error)) (*rig.Controller, error) {
	var list v1alpha1.MonitoringReportList
	if err := c.client.List(ctx, &list); err != nil {
		return nil, err
	}
	from := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}}
	watcher, err := c.client.Watch(ctx, &v1alpha1.MonitoringReportList{}, from)
	if err != nil {
		return nil, err
	}
	defer watcher.Stop()
	p, err := start()
	if err != nil {
		return nil, err
	}
	ready := map[types.UID]bool{}
	for len(ready) < c.reports {
		select {
		case <-p.Done():
			return p, errors.New("the controller ended")
		case event, open := <-watcher.ResultChan():
			mr, ok := event.Object.(*v1alpha1.MonitoringReport)
			if !open || !ok {
				return p, fmt.Errorf("%d of %d reports are Ready, and the watch ended: %w: %v", len(ready), c.reports, context.Cause(ctx), event.Object)
			}
			if meta.IsStatusConditionTrue(mr.Status.Conditions, v1alpha1.ConditionReady) {
				ready[mr.UID] = true
			}
		}
	}
	return p, nil
}

// complete returns an error unless every report has its CronJob and its PrometheusRule, and every namespace its account.
func (c *cluster) complete(ctx context.Context) error {
	var wrong []error
	for gvk, want := range map[schema.GroupVersionKind]int{
		{Group: "batch", Version: "v1", Kind: "CronJob"}:                         c.reports,
		{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"}:  c.reports,
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"}: reportNamespaces,
	} {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := c.client.List(ctx, &list, client.MatchingLabels{"app.kubernetes.io/managed-by": "watchbill"}); err != nil {
			return err
		}
		if len(list.Items) != want {
			wrong = append(wrong, fmt.Errorf("there are %d %ss, not %d", len(list.Items), gvk.Kind, want))
		}
	}
	return errors.Join(wrong...)
}

// touch changes an object in every namespace that all its reports depend on, so that each is reconciled without a
// difference.
func (c *cluster) touch(ctx context.Context) error {
	for i := range reportNamespaces {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: reportNamespace(i), Name: "watchbill-report"}}
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata": {"annotations": {"example.com/touched": "by another"}}}`))
		if err := c.client.Patch(ctx, account, patch); err != nil {
			return err
		}
	}
	return nil
}

// writes counts the controller's writes in the audit log, by verb and resource, except those of the leader election's
// Lease.
func (c *cluster) writes() (total int, by map[string]int, err error) {
	file, err := os.Open(c.audit)
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	by = map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb      string `json:"verb"`
			User      struct{ Username string }
			ObjectRef struct{ Namespace, Resource, Subresource string }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return 0, nil, fmt.Errorf("read %s: %w", c.audit, err)
		}
		if event.User.Username != controllerUser || event.ObjectRef.Namespace == controllerNamespace {
			continue
		}
		total++
		by[filepath.Join(event.Verb, event.ObjectRef.Resource, event.ObjectRef.Subresource)]++
	}
	return total, by, lines.Err()
}
