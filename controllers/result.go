package controllers

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

// Reasons of events that are not reasons of conditions.
const (
	eventReportMade        = "ReportMade"
	eventObjectivesMissed  = "ObjectivesMissed"
	eventRunRequested      = "RunRequested"
	eventRunRequestRefused = "RunRequestRefused"
)

// runOf returns a run for the status.
func runOf(run *finished, result reportjob.Result) *v1alpha1.Run {
	at := run.at
	if !result.CompletedAt.IsZero() {
		at = result.CompletedAt
	}
	made := &v1alpha1.Run{
		ReportID:    result.ReportID,
		Job:         run.job.Name,
		CompletedAt: seconds(at),
		Verdict:     verdictOf(result),
		Summary:     text.Clip(result.Summary, maxSummary),
	}
	if made.Verdict == v1alpha1.VerdictError {
		made.Summary = text.Clip(result.Error, maxSummary)
	}
	if left := result.ObjectivesLeftOut; left > 0 {
		made.Summary += fmt.Sprintf(" (%d more objectives are in the report itself)", left)
	}
	if result.Window != nil {
		made.Window = &v1alpha1.Window{From: *seconds(result.Window.From), To: *seconds(result.Window.To)}
	}
	for _, output := range result.Outputs {
		made.Outputs = append(made.Outputs, v1alpha1.OutputStatus{
			Output: output.Output, Delivered: output.Delivered, Message: output.Message,
		})
	}
	return made
}

func verdictOf(result reportjob.Result) v1alpha1.Verdict {
	if result.Error != "" {
		return v1alpha1.VerdictError
	}
	switch result.Verdict {
	case report.Pass:
		return v1alpha1.VerdictPass
	case report.Fail:
		return v1alpha1.VerdictFail
	case report.NoData:
		return v1alpha1.VerdictNoData
	}
	return v1alpha1.VerdictError
}

// objectivesOf returns a report's objectives, as far as they fitted in the message; nil if there is no report.
func objectivesOf(result reportjob.Result) []v1alpha1.ObjectiveStatus {
	var all []v1alpha1.ObjectiveStatus
	for _, o := range result.Objectives {
		all = append(all, v1alpha1.ObjectiveStatus{
			Name: o.Name, Target: o.Target, Actual: o.Actual, Met: o.Met, ErrorBudgetRemaining: o.BudgetRemaining,
		})
	}
	return all
}

// runEvent returns the event of a run, for kubectl describe.
func runEvent(run *v1alpha1.Run) note {
	switch {
	case run.Verdict == v1alpha1.VerdictError:
		return note{corev1.EventTypeWarning, v1alpha1.ReasonRunFailed, "MakeReport", run.Summary}
	case len(undelivered(run)) > 0:
		return note{corev1.EventTypeWarning, v1alpha1.ReasonDeliveryFailed, "DeliverReport", notDelivered(run)}
	case run.Verdict == v1alpha1.VerdictFail:
		return note{corev1.EventTypeWarning, eventObjectivesMissed, "MakeReport", verdictText(run)}
	}
	return note{corev1.EventTypeNormal, eventReportMade, "MakeReport", verdictText(run)}
}

// reportHealth returns the condition for the last run.
func reportHealth(run *v1alpha1.Run) metav1.Condition {
	c := metav1.Condition{Type: v1alpha1.ConditionReportHealthy}
	switch {
	case run == nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, v1alpha1.ReasonNeverRun, "there was no run yet"
	case run.Verdict == v1alpha1.VerdictError:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonRunFailed, run.Summary
	case len(undelivered(run)) > 0:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, v1alpha1.ReasonDeliveryFailed, notDelivered(run)
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, v1alpha1.ReasonDelivered, verdictText(run)
	}
	return c
}

func verdictText(run *v1alpha1.Run) string {
	if run.Summary == "" || strings.HasPrefix(run.Summary, string(run.Verdict)) {
		return cmp.Or(run.Summary, string(run.Verdict))
	}
	return fmt.Sprintf("%s: %s", run.Verdict, run.Summary)
}

func undelivered(run *v1alpha1.Run) []v1alpha1.OutputStatus {
	var all []v1alpha1.OutputStatus
	for _, output := range run.Outputs {
		if !output.Delivered {
			all = append(all, output)
		}
	}
	return all
}

func notDelivered(run *v1alpha1.Run) string {
	var places []string
	for _, output := range undelivered(run) {
		place := output.Output
		if output.Message != "" {
			place += " (" + output.Message + ")"
		}
		places = append(places, place)
	}
	return text.Clip("the report is made ("+verdictText(run)+") but was not delivered to "+strings.Join(places, ", "), 2*maxSummary)
}
