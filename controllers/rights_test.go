package controllers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// limited runs the controller as a user with only the permissions of config/rbac, those for reports in its namespace only.
func limited(t *testing.T, change ...func(*controllers.ManagerOptions)) *fixture {
	t.Helper()
	w := prepare(t, cluster.Config, change...)
	user := "controller-of-" + w.namespace
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	for _, role := range clusterRoles(t) {
		name := role.Name + "-" + w.namespace
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
		role.Name = name
		w.create(role)
		if strings.HasPrefix(name, "watchbill-reports-") {
			w.create(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "reports"}, RoleRef: ref, Subjects: subjects})
		} else {
			w.create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: ref, Subjects: subjects})
		}
	}
	w.config = rest.CopyConfig(w.config)
	w.config.Impersonate = rest.ImpersonationConfig{UserName: user}
	return w
}

func clusterRoles(t *testing.T) []*rbacv1.ClusterRole {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree.Root(), "config", "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var roles []*rbacv1.ClusterRole
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		role := &rbacv1.ClusterRole{}
		if err := decoder.Decode(role); errors.Is(err, io.EOF) {
			return roles
		} else if err != nil {
			t.Fatal(err)
		}
		if role.Kind == "ClusterRole" {
			roles = append(roles, role)
		}
	}
}

// The requested permissions suffice for everything the controller does.
func TestRightsSuffice(t *testing.T) {
	t.Parallel()
	w := limited(t)
	w.prometheus()
	w.eventually("the rights are known", func() error {
		as, err := client.New(w.config, client.Options{Scheme: w.client.Scheme()})
		if err != nil {
			return err
		}
		return as.List(context.Background(), &v1alpha1.MonitoringReportList{}, inNamespace(w))
	})
	w.start()
	mr := w.settledReport("daily")
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled)

	cronJob := named(w, &batchv1.CronJob{}, "daily-report")
	change(w, cronJob, func(c *batchv1.CronJob) { c.Spec.Schedule = "1 1 * * *" })
	w.eventually("drift is undone", func() error {
		return errors.Join(w.get(cronJob), equal(cronJob.Spec.Schedule, "0 0 * * *"))
	})
	asked := time.Now().Add(-time.Hour)
	change(w, mr, func(mr *v1alpha1.MonitoringReport) {
		mr.Annotations = map[string]string{v1alpha1.AnnotationRunRequestedAt: asked.Format(time.RFC3339)}
		mr.Spec.Alerting.Mode = v1alpha1.AlertNone
	})
	w.exists(named(w, &batchv1.Job{}, fmt.Sprintf("daily-report-now-%d", asked.Unix()/60)))
	w.event(mr, "RunRequested")
	w.gone(named(w, &monitoringv1.PrometheusRule{}, "daily-report"))
	w.delete(mr)
	for _, object := range w.shared() {
		w.gone(object)
	}
}

// A missing permission is reported, and the request is retried.
func TestRightsGrantedLater(t *testing.T) {
	t.Parallel()
	w := limited(t, func(o *controllers.ManagerOptions) { o.Log = funcr.New(func(_, _ string) {}, funcr.Options{}) })
	binding := named(w, &rbacv1.RoleBinding{}, "reports")
	w.exists(binding)
	w.delete(binding)
	w.start()
	mr := w.report("daily")
	w.create(mr)
	condition := w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
	if !strings.Contains(condition.Message, "forbidden") {
		t.Errorf("the condition says %q", condition.Message)
	}
	w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDegraded)
	binding.ResourceVersion, binding.UID = "", ""
	w.create(binding)
	w.settled(mr)
}
