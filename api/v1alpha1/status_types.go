package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MonitoringReportStatus is the state last observed by the controller.
type MonitoringReportStatus struct {
	// observedGeneration is the generation of the spec that the status
	// describes; -1 until the controller has seen the report.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastScheduleTime is the slot of the last scheduled report.
	// +optional
	LastScheduleTime *metav1.Time `json:"lastScheduleTime,omitempty"`

	// nextScheduleTime is when the next report is due. It is omitted while the
	// report is suspended.
	// +optional
	NextScheduleTime *metav1.Time `json:"nextScheduleTime,omitempty"`

	// lastHandledRunRequest is the value of the annotation
	// monitoring.watchbill.dev/run-requested-at that was last handled.
	// +optional
	LastHandledRunRequest string `json:"lastHandledRunRequest,omitempty"`

	// lastRun is the newest finished run.
	// +optional
	LastRun *Run `json:"lastRun,omitempty"`

	// objectives are the results of the last report.
	// +optional
	// +listType=map
	// +listMapKey=name
	Objectives []ObjectiveStatus `json:"objectives,omitempty"`

	// conditions are Ready, Scheduled, RulesInstalled and ReportHealthy, and
	// Stalled while the controller cannot continue until the spec or the
	// cluster is changed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Run is one run of the report.
type Run struct {
	// reportID is the id of the report in Watchbill.
	// +optional
	ReportID string `json:"reportID,omitempty"`

	// job that created the report.
	// +optional
	Job string `json:"job,omitempty"`

	// window that the report covers.
	// +optional
	Window *Window `json:"window,omitempty"`

	// completedAt is when the run finished.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// verdict is Pass, Fail (an objective was missed), NoData (no objective
	// could be checked) or Error (there is no report).
	// +optional
	Verdict Verdict `json:"verdict,omitempty"`

	// summary is the verdict in a sentence.
	// +optional
	Summary string `json:"summary,omitempty"`

	// outputs are the deliveries of the report, in the order of spec.outputs.
	// +optional
	// +listType=atomic
	Outputs []OutputStatus `json:"outputs,omitempty"`
}

// Window is a period of time.
type Window struct {
	// from is the start, inclusive.
	// +required
	From metav1.Time `json:"from"`

	// to is the end, exclusive.
	// +required
	To metav1.Time `json:"to"`
}

// Verdict is the result of a run.
//
// +kubebuilder:validation:Enum=Pass;Fail;NoData;Error
type Verdict string

// The verdicts.
const (
	VerdictPass   Verdict = "Pass"
	VerdictFail   Verdict = "Fail"
	VerdictNoData Verdict = "NoData"
	VerdictError  Verdict = "Error"
)

// OutputStatus is the result of delivering a report to one output.
type OutputStatus struct {
	// output is the name of the output.
	// +required
	Output string `json:"output"`

	// delivered reports whether the delivery succeeded.
	// +required
	Delivered bool `json:"delivered"`

	// message explains a failure or another problem.
	// +optional
	Message string `json:"message,omitempty"`
}

// ObjectiveStatus is the result of an objective, formatted for reading. The
// report has the exact figures.
type ObjectiveStatus struct {
	// name of the objective.
	// +required
	Name string `json:"name"`

	// target is the limit, such as "< 200 ms".
	// +required
	Target string `json:"target"`

	// actual is the measured figure. It is omitted if there was no data.
	// +optional
	Actual string `json:"actual,omitempty"`

	// met reports whether the target was met. It is omitted if there was no
	// data.
	// +optional
	Met *bool `json:"met,omitempty"`

	// errorBudgetRemaining is the remaining share of the window's error
	// budget, such as "62 %". It is negative if more was spent. Objectives
	// without an error budget have none.
	// +optional
	ErrorBudgetRemaining string `json:"errorBudgetRemaining,omitempty"`
}
