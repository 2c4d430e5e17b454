package desired

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// MaxName is the maximum length of a MonitoringReport's name. Jobs' names are made from it and are label values, which are
// limited to 63 characters.
const MaxName = 40

// SharedName is the name of the ServiceAccount, Role and RoleBinding that all reports of a namespace share.
const SharedName = "watchbill-report"

// CronJobName returns the name of a report's CronJob.
func CronJobName(report string) string { return report + "-report" }

// RunJobName returns the name of the Job of a manually requested run. It ends in the slot, as the names of a CronJob's Jobs
// do, and never equals one of them.
func RunJobName(report string, at time.Time) string {
	return schedule.JobName(report+"-report-now", at)
}

// PrometheusRuleName returns the name of a report's PrometheusRule.
func PrometheusRuleName(report string) string { return report + "-report" }

// Labels returns the labels of a report's objects.
func Labels(report string) map[string]string {
	labels := SharedLabels()
	labels[v1alpha1.LabelReport] = report
	return labels
}

// SharedLabels returns the labels of objects that all reports of a namespace share.
func SharedLabels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       "watchbill-report",
		"app.kubernetes.io/managed-by": "watchbill",
	}
}

// owned returns the metadata of an object that a report owns and that is deleted with it.
func owned(mr *v1alpha1.MonitoringReport, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace:       mr.Namespace,
		Name:            name,
		Labels:          Labels(mr.Name),
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(mr, v1alpha1.GroupVersion.WithKind("MonitoringReport"))},
	}
}

func typed(version fmt.Stringer, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version.String(), Kind: kind}
}
