package v1alpha1

// The types of conditions.
const (
	// ConditionReady sums the others up: the schedule stands, and so do the alerts if they are wanted and can be had.
	ConditionReady = "Ready"
	// ConditionScheduled says whether the CronJob stands as it should.
	ConditionScheduled = "Scheduled"
	// ConditionRulesInstalled says whether the PrometheusRule stands, and whether a Prometheus takes it.
	ConditionRulesInstalled = "RulesInstalled"
	// ConditionReportHealthy says whether the last run made a report and delivered it everywhere. A report with the verdict
	// Fail is a healthy one.
	ConditionReportHealthy = "ReportHealthy"
	// ConditionStalled is there, and True, while trying again cannot help: the spec or the cluster must be changed. Its reason
	// is that of what is wrong. Tools that follow kstatus (Flux, Helm) take such a report for failed instead of waiting for it.
	ConditionStalled = "Stalled"
)

// The reasons of conditions. Those of more than one condition come first.
const (
	ReasonInvalidSpec         = "InvalidSpec"         // the spec cannot work; the message says what to change
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed" // the operator makes no reports in this namespace
	ReasonForeignObject       = "ForeignObject"       // an object that is not ours has the name of one to be made
	ReasonApplyFailed         = "ApplyFailed"         // the cluster did not take an object; it is tried again
	ReasonWaiting             = "Waiting"             // an object is not there yet; the message says what is waited for

	ReasonReconciled = "Reconciled" // Ready: all stands as it should
	ReasonDegraded   = "Degraded"   // not Ready: another condition says why

	ReasonScheduled = "Scheduled" // Scheduled: reports will come
	ReasonSuspended = "Suspended" // Scheduled: they will not, as is wanted

	ReasonInstalled                 = "Installed"                 // RulesInstalled: a Prometheus takes them
	ReasonAlertingOff               = "AlertingOff"               // RulesInstalled: none are wanted
	ReasonPrometheusOperatorMissing = "PrometheusOperatorMissing" // the cluster does not know PrometheusRules
	ReasonNotSelected               = "NotSelected"               // no Prometheus takes them
	ReasonNamespaceEnforced         = "NamespaceEnforced"         // one does, but has them look at another namespace than the API's
	ReasonRejected                  = "Rejected"                  // the Prometheus operator refuses them
	ReasonSelectionUnknown          = "SelectionUnknown"          // whether one does cannot be seen

	ReasonNeverRun       = "NeverRun"       // ReportHealthy: there was no run yet
	ReasonDelivered      = "Delivered"      // ReportHealthy: the last run did all it should
	ReasonRunFailed      = "RunFailed"      // there is no report
	ReasonDeliveryFailed = "DeliveryFailed" // there is one, but not everywhere
)

// What else has a name on objects.
const (
	// AnnotationRunRequestedAt asks for a report now, or for an earlier moment: an RFC 3339 time. Each new value is one
	// request.
	AnnotationRunRequestedAt = "monitoring.watchbill.dev/run-requested-at"
	// AnnotationAppliedHash is on the objects that the controller makes: what it last made them to be.
	AnnotationAppliedHash = "monitoring.watchbill.dev/applied-hash"
	// LabelReport names, on all that is made of a report, the report.
	LabelReport = "monitoring.watchbill.dev/report"
)
