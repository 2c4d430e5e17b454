package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MonitoringReport is a schedule of reports about the fleet and the service,
// the objectives that they are judged by, the places that they are delivered
// to, and the Prometheus alerts for the same objectives.
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

	// metadata is the object's, as everywhere.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what is wanted.
	// +required
	Spec MonitoringReportSpec `json:"spec,omitzero"`

	// status is what the controller saw last. Until it has seen the report,
	// observedGeneration is -1, so that tools that wait for it do not take the
	// report for ready.
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

// MonitoringReportSpec is what is wanted.
type MonitoringReportSpec struct {
	// schedule says when reports are made, in the syntax of CronJobs: five fields
	// ("0 8 * * 1-5") or a descriptor ("@daily"). The time zone has a field of its
	// own.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.contains('TZ')",message="must not name a time zone; use timeZone"
	Schedule string `json:"schedule,omitempty"`

	// timeZone is that of the schedule, by its name in the IANA's database, such
	// as Europe/Berlin. Default: Etc/UTC.
	// +optional
	// +default="Etc/UTC"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.lowerAscii() != 'local'",message="must name a zone, such as Europe/Berlin"
	TimeZone string `json:"timeZone,omitempty"`

	// suspend stops reports from being made by the schedule. Alerts stay, and a
	// report can still be asked for.
	// +optional
	// +default=false
	Suspend bool `json:"suspend,omitempty"`

	// concurrencyPolicy says what happens when a report is due while the one
	// before is still being made: Forbid leaves the new one out, Replace ends the
	// old one, Allow lets both run. Default: Forbid.
	// +optional
	// +default="Forbid"
	ConcurrencyPolicy ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`

	// startingDeadlineSeconds is how late a report may begin, after the cluster
	// was away for instance; later it is left out. Default: 3600, an hour.
	// +optional
	// +default=3600
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=604800
	StartingDeadlineSeconds int64 `json:"startingDeadlineSeconds,omitempty"`

	// window is how much time a report covers, up to the moment it was scheduled
	// for, such as 24h; whole minutes up to 8784h. Left out, it begins at the slot
	// before: reports then meet without gap or overlap, also where clocks change.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,4}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$') && duration(self) >= duration('1m') && duration(self) <= duration('8784h') && duration(self).getSeconds() % 60 == 0",message="must be whole minutes from 1m to 8784h, such as 24h or 1h30m"
	Window string `json:"window,omitempty"`

	// compareWith says what a report is compared with: Previous is the window of
	// the same length right before. Default: Previous.
	// +optional
	// +default="Previous"
	CompareWith CompareWith `json:"compareWith,omitempty"`

	// sections are the parts of the report. Left out: all of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	Sections []Section `json:"sections,omitempty"`

	// objectives are what reports are judged by, and what alerts are about. Left
	// out: pending-p50, pending-p95 and pending-p99 (polls below 50 ms, 200 ms and
	// 500 ms), errors (below 1 %), pool (below 80 % in use), queries (p99 below
	// 100 ms), polling (about 0.1 polls per second and agent) and executions
	// (above 95 % successful).
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Objectives []Objective `json:"objectives,omitempty"`

	// alerting says how Prometheus alerts about the objectives.
	// +optional
	// +default={}
	Alerting Alerting `json:"alerting,omitzero"`

	// outputs are the places that reports are delivered to. Each is independent of
	// the others. Reports are kept by Watchbill itself too, so that none is
	// needed.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Outputs []Output `json:"outputs,omitempty"`

	// retention says how much is kept of past runs.
	// +optional
	// +default={}
	Retention Retention `json:"retention,omitzero"`
}

// ConcurrencyPolicy says what happens when a report is due while the one
// before is still being made.
//
// +kubebuilder:validation:Enum=Forbid;Replace;Allow
type ConcurrencyPolicy string

// The policies.
const (
	ForbidConcurrent  ConcurrencyPolicy = "Forbid"
	ReplaceConcurrent ConcurrencyPolicy = "Replace"
	AllowConcurrent   ConcurrencyPolicy = "Allow"
)

// CompareWith says what a report is compared with.
//
// +kubebuilder:validation:Enum=Previous;None
type CompareWith string

// What a report can be compared with.
const (
	ComparePrevious CompareWith = "Previous"
	CompareNone     CompareWith = "None"
)

// Section is a part of a report.
//
// +kubebuilder:validation:Enum=summary;endpoints;pendingDeployments;databasePool;queries;indexes;errors;executions;costs;users
type Section string

// Retention says how much is kept of past runs.
type Retention struct {
	// successfulRuns is how many Jobs that succeeded are kept, with their Pods.
	// Default: 10.
	// +optional
	// +default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuccessfulRuns int32 `json:"successfulRuns,omitempty"`

	// failedRuns is how many Jobs that failed are kept, with their Pods. Default:
	// 3.
	// +optional
	// +default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	FailedRuns int32 `json:"failedRuns,omitempty"`

	// reports is how many reports are kept, by Watchbill and in each output that
	// can delete them; the oldest go first. Default: 30.
	// +optional
	// +default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Reports int32 `json:"reports,omitempty"`
}
