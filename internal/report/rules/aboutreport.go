package rules

import "time"

const (
	absentPending  = 5 * time.Minute
	overduePending = 5 * time.Minute
	failingPending = 5 * time.Minute
)

// aboutReport returns the alerts about the report itself: missing metrics and missing reports, without which no other alert
// means anything.
func (b base) aboutReport() []Rule {
	ofReport := append(matchers(b.labels()), b.controller...)
	return []Rule{
		b.alert(alarm{
			alert: "WatchbillTargetAbsent", severity: critical,
			expr:    "absent(" + b.measured(buildInfo) + ")",
			pending: absentPending,
			summary: "Prometheus has no metrics of Watchbill's API",
			description: "Prometheus has scraped no replica for 5 minutes, so the objectives of report " + b.reportName() +
				" are not evaluated. Either the API is down or Prometheus does not find it.",
		}),
		b.alert(alarm{
			alert: "WatchbillReportOverdue", severity: warning,
			expr:        "time() - max(" + series("watchbill_report_expected_by_timestamp_seconds", ofReport...) + ") > 0",
			pending:     overduePending,
			summary:     "Report " + b.reportName() + " is overdue",
			description: "Report " + b.reportName() + " should have been made {{ $value | humanizeDuration }} ago, and was not.",
		}),
		b.alert(alarm{
			alert: "WatchbillReportFailing", severity: warning,
			expr:        "max(" + series("watchbill_report_failing", ofReport...) + ") > 0",
			pending:     failingPending,
			summary:     "Report " + b.reportName() + " fails",
			description: "The last run of report " + b.reportName() + " made no report, or did not deliver it everywhere.",
		}),
	}
}
