package controllers_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/go-logr/logr/funcr"
	lua "github.com/yuin/gopher-lua"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// TestHealth checks how the tools that deploy reports read the status: kstatus, which Flux and Helm use, and the script for
// Argo CD in docs/gitops.md.
func TestHealth(t *testing.T) {
	t.Parallel()
	suspended := func(mr *v1alpha1.MonitoringReport) { mr.Spec.Suspend = true }
	invalid := func(mr *v1alpha1.MonitoringReport) { mr.Spec.TimeZone = "Europe/Nowhere" }
	elsewhere := func(o *controllers.ManagerOptions) { o.ReportNamespaces = []string{"elsewhere"} }
	for name, tt := range map[string]struct {
		spec    func(*v1alpha1.MonitoringReport)
		options func(*controllers.ManagerOptions)
		foreign bool // a CronJob of another owner has the name
		idle    bool // no controller runs
		kstatus status.Status
		argo    string
		says    string // Argo CD's message
	}{
		"unseen":                {idle: true, kstatus: status.InProgressStatus, argo: "Progressing", says: "not seen"},
		"ready":                 {kstatus: status.CurrentStatus, argo: "Healthy", says: "on schedule"},
		"suspended":             {spec: suspended, kstatus: status.CurrentStatus, argo: "Suspended", says: "suspended"},
		"invalid":               {spec: invalid, kstatus: status.FailedStatus, argo: "Degraded", says: "Europe/Nowhere"},
		"namespace not allowed": {options: elsewhere, kstatus: status.FailedStatus, argo: "Degraded", says: "elsewhere"},
		"foreign object":        {foreign: true, kstatus: status.FailedStatus, argo: "Degraded", says: "CronJob"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := prepare(t, cluster.Config)
			if tt.options != nil {
				tt.options(&w.options)
			}
			cronJob := theirs(w)
			if tt.foreign {
				w.create(cronJob)
			}
			mr := w.report("daily")
			if tt.spec != nil {
				tt.spec(mr)
			}
			w.create(mr)
			if !tt.idle {
				w.start()
			}
			w.health(mr, tt.kstatus, tt.argo, tt.says)
			if tt.foreign {
				w.delete(cronJob)
				w.health(mr, status.CurrentStatus, "Healthy", "on schedule")
			}
		})
	}
}

// A change counts once the controller has seen it.
func TestHealthOfAChange(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily")
	w.create(mr)
	w.health(mr, status.CurrentStatus, "Healthy", "")
	w.stop()
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "0 0 31 2 *" })
	w.health(mr, status.InProgressStatus, "Progressing", "not seen")
	w.start()
	w.health(mr, status.FailedStatus, "Degraded", "spec.schedule")
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "0 0 * * *" })
	w.health(mr, status.CurrentStatus, "Healthy", "")
}

// Requests that the API server rejects are retried, and are a failure once that has not helped for a while. Its internal
// errors are not.
func TestHealthOfRefusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code    int
		reason  metav1.StatusReason
		kstatus status.Status
		argo    string
	}{
		"forbidden": {http.StatusForbidden, metav1.StatusReasonForbidden, status.FailedStatus, "Degraded"},
		"invalid":   {http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, status.FailedStatus, "Degraded"},
		"internal":  {http.StatusInternalServerError, metav1.StatusReasonInternalError, status.InProgressStatus, "Progressing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := prepare(t, cluster.Config, func(o *controllers.ManagerOptions) { o.Log = funcr.New(func(_, _ string) {}, funcr.Options{}) })
			config := rest.CopyConfig(w.config)
			config.Wrap(func(next http.RoundTripper) http.RoundTripper {
				return &refusing{next: next, code: tt.code, reason: tt.reason, paths: func(r *http.Request) bool {
					return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/cronjobs")
				}}
			})
			plain := w.config
			w.config = config
			w.start()
			mr := w.report("daily")
			w.create(mr)
			w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed)
			w.health(mr, status.InProgressStatus, "Progressing", "Scheduled")
			w.clock.jump(2 * time.Minute)
			change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Schedule = "1 0 * * *" })
			w.health(mr, tt.kstatus, tt.argo, "Scheduled")
			w.stop()
			w.config = plain
			w.start()
			w.health(mr, status.CurrentStatus, "Healthy", "")
		})
	}
}

// theirs returns a CronJob with the name of the report daily's that Watchbill did not create.
func theirs(w *fixture) *batchv1.CronJob {
	cronJob := named(w, &batchv1.CronJob{}, "daily-report")
	cronJob.Spec = batchv1.CronJobSpec{Schedule: "1 1 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "theirs", Image: "example.com/theirs"}},
		}},
	}}}
	return cronJob
}

// health waits until kstatus and Argo CD compute the wanted health of a report.
func (w *fixture) health(mr *v1alpha1.MonitoringReport, kstatus status.Status, argo, says string) {
	w.t.Helper()
	script := argoScript(w.t)
	w.eventually(fmt.Sprintf("it is %s and %s", kstatus, argo), func() error {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MonitoringReport"))
		if err := w.get(named(w, object, mr.Name)); err != nil {
			return err
		}
		computed, err := status.Compute(object)
		if err != nil {
			return err
		}
		health, message, err := argoHealth(object, script)
		if err != nil {
			return err
		}
		if computed.Status != kstatus || health != argo || !strings.Contains(message, says) {
			return fmt.Errorf("kstatus: %s (%s), Argo CD: %s (%s)", computed.Status, computed.Message, health, message)
		}
		return nil
	})
}

// argoScript returns the script for Argo CD in docs/gitops.md.
func argoScript(t testing.TB) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(tree.Root(), "docs", "gitops.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, ok := strings.Cut(rest, "\n```")
	var settings corev1.ConfigMap
	if err := yaml.UnmarshalStrict([]byte(text), &settings); err != nil || !ok {
		t.Fatalf("docs/gitops.md has no ConfigMap: %v", err)
	}
	script := settings.Data["resource.customizations.health.monitoring.watchbill.dev_MonitoringReport"]
	if script == "" {
		t.Fatal("docs/gitops.md has no script for MonitoringReports")
	}
	return script
}

// argoHealth runs a script as Argo CD does, with the same libraries.
func argoHealth(object *unstructured.Unstructured, script string) (health, message string, err error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			return "", "", err
		}
	}
	state.SetGlobal("obj", luaOf(state, object.Object))
	if err := state.DoString(script); err != nil {
		return "", "", err
	}
	result, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return "", "", errors.New("the script returned no table")
	}
	return result.RawGetString("status").String(), result.RawGetString("message").String(), nil
}

func luaOf(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		list := state.NewTable()
		for _, one := range value {
			list.Append(luaOf(state, one))
		}
		return list
	case map[string]any:
		table := state.NewTable()
		for name, one := range value {
			table.RawSetString(name, luaOf(state, one))
		}
		return table
	}
	return lua.LNil
}
