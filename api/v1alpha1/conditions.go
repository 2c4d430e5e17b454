package v1alpha1

// Types of conditions.
const (
	// ConditionReady combines the others: the schedule is installed, and so are the alerts if they are wanted and
	// possible.
	ConditionReady = "Ready"
	// ConditionScheduled reports whether the CronJob is as it should be.
	ConditionScheduled = "Scheduled"
	// ConditionRulesInstalled reports whether the PrometheusRule is installed and a Prometheus selects it.
	ConditionRulesInstalled = "RulesInstalled"
	// ConditionReportHealthy reports whether the last run made a report and delivered it to all outputs. A report with
	// the verdict Fail is healthy.
	ConditionReportHealthy = "ReportHealthy"
	// ConditionStalled is True while retrying cannot help, because the spec or the cluster must be changed; otherwise
	// it is absent. Its reason is that of the fault. Tools that follow kstatus (Flux, Helm) treat such a report as
	// failed instead of waiting for it.
	ConditionStalled = "Stalled"
)

// Reasons of conditions. Reasons shared by several conditions are first.
const (
	ReasonInvalidSpec         = "InvalidSpec"         // the spec is invalid; the message explains what to change
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed" // the operator creates no reports in this namespace
	ReasonForeignObject       = "ForeignObject"       // an object with another owner has a name that the report needs
	ReasonApplyFailed         = "ApplyFailed"         // an object could not be applied; it is retried
	ReasonWaiting             = "Waiting"             // an object does not exist yet; the message names it

	ReasonReconciled = "Reconciled" // Ready: all objects are as they should be
	ReasonDegraded   = "Degraded"   // not Ready: another condition has the reason

	ReasonScheduled = "Scheduled" // Scheduled: reports will be made
	ReasonSuspended = "Suspended" // Scheduled: reports are suspended by the spec

	ReasonInstalled                 = "Installed"                 // RulesInstalled: a Prometheus selects the rules
	ReasonAlertingOff               = "AlertingOff"               // RulesInstalled: alerting is turned off
	ReasonPrometheusOperatorMissing = "PrometheusOperatorMissing" // the cluster has no PrometheusRules
	ReasonNotSelected               = "NotSelected"               // no Prometheus selects the rules
	ReasonNamespaceEnforced         = "NamespaceEnforced"         // one does, limited to another namespace than the API's
	ReasonRejected                  = "Rejected"                  // the Prometheus operator rejects the rules
	ReasonSelectionUnknown          = "SelectionUnknown"          // unknown whether one does

	ReasonNeverRun       = "NeverRun"       // ReportHealthy: there was no run yet
	ReasonDelivered      = "Delivered"      // ReportHealthy: the last run succeeded
	ReasonRunFailed      = "RunFailed"      // there is no report
	ReasonDeliveryFailed = "DeliveryFailed" // there is a report, but not at every output
)

// Annotations and labels of objects.
const (
	// AnnotationRunRequestedAt requests a report for the given time, RFC 3339 and not in the future. Each new value is
	// one request.
	AnnotationRunRequestedAt = "monitoring.watchbill.dev/run-requested-at"
	// AnnotationAppliedHash is the hash of the object as last applied by the controller.
	AnnotationAppliedHash = "monitoring.watchbill.dev/applied-hash"
	// LabelReport is the report's name, on all objects made for it.
	LabelReport = "monitoring.watchbill.dev/report"
)
