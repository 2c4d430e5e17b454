package desired

import (
	"cmp"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// effective returns the spec with defaults. The API server sets the defaults of api/v1alpha1 too, but the
// CustomResourceDefinition in a cluster may be older than this program.
func effective(mr *v1alpha1.MonitoringReport) v1alpha1.MonitoringReportSpec {
	spec := mr.Spec
	spec.TimeZone = cmp.Or(spec.TimeZone, "Etc/UTC")
	spec.ConcurrencyPolicy = cmp.Or(spec.ConcurrencyPolicy, v1alpha1.ForbidConcurrent)
	spec.StartingDeadlineSeconds = cmp.Or(spec.StartingDeadlineSeconds, 3600)
	spec.CompareWith = cmp.Or(spec.CompareWith, v1alpha1.ComparePrevious)
	spec.Alerting.Mode = cmp.Or(spec.Alerting.Mode, v1alpha1.AlertBurnRate)
	spec.Alerting.MinEvents = cmp.Or(spec.Alerting.MinEvents, 50)
	spec.Alerting.Period = cmp.Or(spec.Alerting.Period, v1alpha1.Budget30Days)
	spec.Alerting.Interval = cmp.Or(spec.Alerting.Interval, "1m")
	spec.Retention.SuccessfulRuns = cmp.Or(spec.Retention.SuccessfulRuns, 10)
	spec.Retention.FailedRuns = cmp.Or(spec.Retention.FailedRuns, 3)
	spec.Retention.Reports = cmp.Or(spec.Retention.Reports, 30)
	return spec
}
