package desired

import (
	"cmp"
	"time"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// Resolved is a report whose spec has its defaults and is parsed. Everything that is made from a report is made from it,
// so that no two parts of the program can read a spec differently. It may have faults, which Check returns.
type Resolved struct {
	*v1alpha1.MonitoringReport                               // as written
	Spec                       v1alpha1.MonitoringReportSpec // with defaults
	Objectives                 objective.Set
	Rules                      rules.Report

	written []objective.Objective // as Pods send them to the API; nil: the default ones
}

// Resolve resolves a report.
func Resolve(mr *v1alpha1.MonitoringReport) Resolved {
	r := Resolved{MonitoringReport: mr, Spec: effective(mr), written: Objectives(mr)}
	r.Objectives = objective.Resolve(r.written)
	r.Rules = ruleReport(r)
	return r
}

// ruleReport returns the input of internal/report/rules.
func ruleReport(r Resolved) rules.Report {
	alerting := r.Spec.Alerting
	window, _ := time.ParseDuration(r.Spec.Window) // 0 if empty; Check validates it
	labels := make(map[string]string, len(alerting.Labels))
	for name, value := range alerting.Labels {
		labels[name] = string(value)
	}
	return rules.Report{
		Namespace:  r.Namespace,
		Name:       r.Name,
		Objectives: r.Objectives,
		Mode:       rules.Mode(alerting.Mode),
		MinEvents:  alerting.MinEvents,
		Labels:     labels,
		RunbookURL: alerting.RunbookURL,
		Window:     window,
		Period:     rules.Period(alerting.Period),
		Windows:    alertWindows(alerting.Windows),
		Severities: severities(alerting.Severities),
		Interval:   span(alerting.Interval),
	}
}

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
