package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MonitoringReportStatus is what the controller saw last.
type MonitoringReportStatus struct {
	// observedGeneration is the generation of the spec that the rest is about; -1
	// until the controller has seen the report.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// lastScheduleTime is the slot that a report was last made for.
	// +optional
	LastScheduleTime *metav1.Time `json:"lastScheduleTime,omitempty"`

	// nextScheduleTime is when the next report is due; none while the report is
	// suspended.
	// +optional
	NextScheduleTime *metav1.Time `json:"nextScheduleTime,omitempty"`

	// lastHandledRunRequest is the value of the annotation
	// monitoring.watchbill.dev/run-requested-at that was handled last.
	// +optional
	LastHandledRunRequest string `json:"lastHandledRunRequest,omitempty"`

	// lastRun is the newest run that is over.
	// +optional
	LastRun *Run `json:"lastRun,omitempty"`

	// objectives are what the last report found.
	// +optional
	// +listType=map
	// +listMapKey=name
	Objectives []ObjectiveStatus `json:"objectives,omitempty"`

	// conditions are Ready, Scheduled, RulesInstalled and ReportHealthy, and
	// Stalled while the controller cannot go on until the spec or the cluster is
	// changed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Run is one run of the report.
type Run struct {
	// reportID is the id under which Watchbill keeps the report.
	// +optional
	ReportID string `json:"reportID,omitempty"`

	// job that made the report.
	// +optional
	Job string `json:"job,omitempty"`

	// window that the report is of.
	// +optional
	Window *Window `json:"window,omitempty"`

	// completedAt is when the run was over.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// verdict is Pass, Fail (an objective was missed), NoData (there was nothing
	// to judge by) or Error (there is no report).
	// +optional
	Verdict Verdict `json:"verdict,omitempty"`

	// summary is the verdict in a sentence.
	// +optional
	Summary string `json:"summary,omitempty"`

	// outputs say how the report was delivered, in the order of the spec's.
	// +optional
	// +listType=atomic
	Outputs []OutputStatus `json:"outputs,omitempty"`
}

// Window is a span of time.
type Window struct {
	// from is where it begins.
	// +required
	From metav1.Time `json:"from"`

	// to is where it ends; not in it any more.
	// +required
	To metav1.Time `json:"to"`
}

// Verdict is what a run came to.
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

// OutputStatus says how a report was delivered to one place.
type OutputStatus struct {
	// output names the place.
	// +required
	Output string `json:"output"`

	// delivered says whether the report is there.
	// +required
	Delivered bool `json:"delivered"`

	// message says why not, or what else went wrong.
	// +optional
	Message string `json:"message,omitempty"`
}

// ObjectiveStatus is an objective measured, in words for people; the report
// has the exact figures.
type ObjectiveStatus struct {
	// name of the objective.
	// +required
	Name string `json:"name"`

	// target is the figure that it should be, such as "< 200 ms".
	// +required
	Target string `json:"target"`

	// actual is the figure that it was; left out where there was no data.
	// +optional
	Actual string `json:"actual,omitempty"`

	// met says whether the target was met; left out where there was no data.
	// +optional
	Met *bool `json:"met,omitempty"`

	// errorBudgetRemaining is the share of the window's error budget that is left,
	// such as "62 %"; less than nothing where more was spent. Left out for
	// objectives that have no such budget.
	// +optional
	ErrorBudgetRemaining string `json:"errorBudgetRemaining,omitempty"`
}
