package desired

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// MaxName is the length of a MonitoringReport's name, at the most. The Jobs' names are made from it and are labels' values,
// which end at 63 characters.
const MaxName = 40

// SharedName is that of the ServiceAccount, the Role and the RoleBinding that all reports of a namespace share.
const SharedName = "watchbill-report"

// CronJobName is that of a report's CronJob.
func CronJobName(report string) string { return report + "-report" }

// RunJobName is that of the Job for a run that was asked for. It ends in the slot, as the names of a CronJob's Jobs do, and
// is never one of those.
func RunJobName(report string, at time.Time) string {
	return schedule.JobName(report+"-report-now", at)
}

// PrometheusRuleName is that of a report's PrometheusRule.
func PrometheusRuleName(report string) string { return report + "-report" }

// Labels are on everything that is made of a report.
func Labels(report string) map[string]string {
	labels := SharedLabels()
	labels[v1alpha1.LabelReport] = report
	return labels
}

// SharedLabels are on what all reports of a namespace share.
func SharedLabels() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       "watchbill-report",
		"app.kubernetes.io/managed-by": "watchbill",
	}
}

// owned is the metadata of an object that is a report's own, and goes with it.
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
