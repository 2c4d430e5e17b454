package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MonitoringReport is a schedule of reports about the fleet and the service,
// their objectives, the outputs that they are delivered to, and the Prometheus
// alerts for the same objectives.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mrep,categories=all;monitoring
// +kubebuilder:printcolumn:name="Schedule",type=string,JSONPath=`.spec.schedule`
// +kubebuilder:printcolumn:name="Suspended",type=boolean,JSONPath=`.spec.suspend`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Verdict",type=string,JSONPath=`.status.lastRun.verdict`
// +kubebuilder:printcolumn:name="Last",type=date,JSONPath=`.status.lastScheduleTime`
// +kubebuilder:printcolumn:name="Next",type=string,JSONPath=`.status.nextScheduleTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40",message="metadata.name must be at most 40 characters, since names of Jobs are made from it"
type MonitoringReport struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the desired schedule of reports.
	// +required
	Spec MonitoringReportSpec `json:"spec,omitzero"`

	// status is the last observed state. observedGeneration is -1 until the
	// controller has seen the report, so that tools that wait for it do not
	// consider the report ready.
	// +optional
	// +default={"observedGeneration": -1}
	Status MonitoringReportStatus `json:"status,omitzero"`
}

// MonitoringReportList is a list of MonitoringReports.
//
// +kubebuilder:object:root=true
type MonitoringReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []MonitoringReport `json:"items"`
}

// MonitoringReportSpec is the desired schedule of reports.
type MonitoringReportSpec struct {
	// schedule is when reports are created, in the syntax of CronJobs: five
	// fields ("0 8 * * 1-5") or a descriptor ("@daily"). The time zone is set
	// by timeZone.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.contains('TZ')",message="must not name a time zone; use timeZone"
	Schedule string `json:"schedule,omitempty"`

	// timeZone is the IANA time zone of the schedule, such as Europe/Berlin.
	// Default: Etc/UTC.
	// +optional
	// +default="Etc/UTC"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() != 'local'",message="must name a zone, such as Europe/Berlin"
	TimeZone string `json:"timeZone,omitempty"`

	// suspend stops scheduled reports. Alerts stay, and a report can still be
	// requested.
	// +optional
	// +default=false
	Suspend bool `json:"suspend,omitempty"`

	// concurrencyPolicy determines what happens when a report is due while the
	// previous one is still running: Forbid skips the new one, Replace stops
	// the previous one, Allow runs both. Default: Forbid.
	// +optional
	// +default="Forbid"
	ConcurrencyPolicy ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`

	// startingDeadlineSeconds is how late a report may start, for instance
	// after the cluster was down. After that it is skipped. Default: 3600, an
	// hour.
	// +optional
	// +default=3600
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	StartingDeadlineSeconds int64 `json:"startingDeadlineSeconds,omitempty"`

	// window is the length of the period that a report covers, which ends at
	// the scheduled time: whole minutes up to 8784h, such as 24h. By default
	// the period begins at the previous slot, so that reports have neither
	// gaps nor overlaps, even when clocks change.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && duration(self) >= duration('1m') && duration(self) <= duration('8784h') && duration(self).getSeconds() % 60 == 0",message="must be whole minutes from 1m to 8784h, such as 24h or 1h30m"
	Window string `json:"window,omitempty"`

	// compareWith is what a report is compared with: Previous is the preceding
	// window of the same length. Default: Previous.
	// +optional
	// +default="Previous"
	CompareWith CompareWith `json:"compareWith,omitempty"`

	// sections are the parts of the report. Default: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Sections []Section `json:"sections,omitempty"`

	// objectives are the limits that reports and alerts check. Default:
	// pending-p50, pending-p95 and pending-p99 (polls below 50 ms, 200 ms and
	// 500 ms), errors (below 1 %), pool (below 80 % in use), queries (p99
	// below 100 ms), polling (about 0.1 polls per second and agent) and
	// executions (above 95 % successful).
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Objectives []Objective `json:"objectives,omitempty"`

	// alerting configures the Prometheus alerts of the objectives.
	// +optional
	// +default={}
	Alerting Alerting `json:"alerting,omitzero"`

	// outputs are the destinations of reports, independent of each other. None
	// is required, since Watchbill also stores the reports.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Outputs []Output `json:"outputs,omitempty"`

	// retention limits what is kept of past runs.
	// +optional
	// +default={}
	Retention Retention `json:"retention,omitzero"`
}

// ConcurrencyPolicy determines what happens when a report is due while the
// previous one is still running.
//
// +kubebuilder:validation:Enum=Forbid;Replace;Allow
type ConcurrencyPolicy string

// The policies.
const (
	ForbidConcurrent  ConcurrencyPolicy = "Forbid"
	ReplaceConcurrent ConcurrencyPolicy = "Replace"
	AllowConcurrent   ConcurrencyPolicy = "Allow"
)

// CompareWith is what a report is compared with.
//
// +kubebuilder:validation:Enum=Previous;None
type CompareWith string

// The windows to compare with.
const (
	ComparePrevious CompareWith = "Previous"
	CompareNone     CompareWith = "None"
)

// Section is a part of a report.
//
// +kubebuilder:validation:Enum=summary;endpoints;pendingDeployments;databasePool;queries;indexes;errors;executions;costs;users
type Section string

// Retention limits what is kept of past runs.
type Retention struct {
	// successfulRuns is how many successful Jobs to keep, with their Pods.
	// Default: 10.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuccessfulRuns int32 `json:"successfulRuns,omitempty"`

	// failedRuns is how many failed Jobs to keep, with their Pods. Default: 3.
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailedRuns int32 `json:"failedRuns,omitempty"`

	// reports is how many reports to keep, in Watchbill and in each output
	// that can delete them. The oldest are deleted first. Default: 30.
	// +optional
	// +default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Reports int32 `json:"reports,omitempty"`
}
