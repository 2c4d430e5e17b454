package controllers

import (
	"errors"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// is returns a condition.
func is(condition string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: condition, Status: status, Reason: reason, Message: message}
}

// failedTo returns the condition for an error of applying; false if the error has nothing to do with the report.
func failedTo(condition string, err error) (metav1.Condition, bool) {
	var foreign *foreignError
	switch {
	case err == nil, passing(err):
		return metav1.Condition{}, false
	case errors.As(err, &foreign):
		return is(condition, metav1.ConditionFalse, v1alpha1.ReasonForeignObject, err.Error()), true
	}
	return is(condition, metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, err.Error()), true
}

// failed sets the condition for an error of applying. An error that has nothing to do with the report leaves the
// previous condition.
func (o *outcome) failed(condition string, err error) {
	var wait *waitError
	if c, ok := failedTo(condition, err); ok {
		o.refused[condition] = refused(err)
		o.set(c, true)
	} else if errors.As(err, &wait) && meta.FindStatusCondition(o.status.Conditions, condition) == nil {
		o.set(is(condition, metav1.ConditionUnknown, v1alpha1.ReasonWaiting, wait.why), false)
	}
}

// without sets the condition of a report that has no rules, as withoutRule returns it.
func (o *outcome) without(c metav1.Condition) {
	denied := c.Reason == v1alpha1.ReasonApplyFailed // no permission to read rules
	o.refused[c.Type] = denied
	o.set(c, denied)
}

// scheduled returns the condition of an applied CronJob.
func scheduled(cronJob *batchv1.CronJob) metav1.Condition {
	when := cronJob.Spec.Schedule
	if cronJob.Spec.TimeZone != nil {
		when += " in " + *cronJob.Spec.TimeZone
	}
	if cronJob.Spec.Suspend != nil && *cronJob.Spec.Suspend {
		return is(v1alpha1.ConditionScheduled, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "reports are not made because spec.suspend is set; the schedule is "+when)
	}
	return is(v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonScheduled, "reports are made at "+when)
}

// withoutRule returns the condition if alerting is off or impossible.
func withoutRule(seen *observed, p plan) (metav1.Condition, bool) {
	off := func(reason, message string) (metav1.Condition, bool) {
		return is(v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, reason, message), true
	}
	switch {
	case p.rule == nil:
		return off(v1alpha1.ReasonAlertingOff, "spec.alerting.mode is None")
	case seen.rules == missing:
		return off(v1alpha1.ReasonPrometheusOperatorMissing, "the cluster does not have the kind PrometheusRule; alerts are installed once the Prometheus operator is")
	case seen.rules == unreadable:
		return off(v1alpha1.ReasonApplyFailed, "the controller may not read PrometheusRules; see the operator's ClusterRole")
	}
	return metav1.Condition{}, false
}

// installed returns the condition of an applied PrometheusRule.
func installed(rule ruleSeen, c candidates, notes []string) metav1.Condition {
	taken := c.taken(rule)
	switch taken.reason {
	case "":
		message := fmt.Sprintf("the PrometheusRule %s exists, and %s selects it", rule.name, taken.by)
		if len(notes) > 0 {
			message += "; " + strings.Join(notes, "; ")
		}
		return is(v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled, message)
	case v1alpha1.ReasonSelectionUnknown:
		return is(v1alpha1.ConditionRulesInstalled, metav1.ConditionUnknown, taken.reason, taken.why)
	}
	return is(v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, taken.reason, taken.why)
}

// setConditions sets the conditions of a report whose objects are all as planned.
func (r *Reconciler) setConditions(seen *observed, p plan, o *outcome) {
	o.cronJob = seen.cronJob()
	o.set(scheduled(o.cronJob), false)
	if c, without := withoutRule(seen, p); without {
		o.without(c)
		return
	}
	o.set(installed(r.ruleOf(p.rule, seen.live(p.rule)), seen.candidates, p.notes), false)
}

// faulty sets the conditions of a report with an invalid spec. Conditions of existing objects stay.
func (o *outcome) faulty(seen *observed, f *problem) {
	o.set(is(v1alpha1.ConditionReady, metav1.ConditionFalse, f.reason, f.message), true)
	if f.reason == v1alpha1.ReasonInvalidSpec {
		o.cronJob = seen.cronJob()
	}
	for condition, object := range map[string]objectKey{
		v1alpha1.ConditionScheduled:      {kind: "CronJob", name: desired.CronJobName(seen.report.Name)},
		v1alpha1.ConditionRulesInstalled: {kind: "PrometheusRule", name: desired.PrometheusRuleName(seen.report.Name)},
	} {
		if f.reason == v1alpha1.ReasonNamespaceNotAllowed || seen.own(object.kind, object.name) == nil {
			o.set(is(condition, metav1.ConditionFalse, f.reason, "see Ready"), false)
		}
	}
}

// ready sets Ready from the other conditions. Alerts make a report unready only if they are wanted and the cluster rejects
// them: a missing Prometheus operator, or no Prometheus that selects the rules, is the cluster administrator's decision.
func (o *outcome) ready() {
	scheduled := meta.FindStatusCondition(o.status.Conditions, v1alpha1.ConditionScheduled)
	rules := meta.FindStatusCondition(o.status.Conditions, v1alpha1.ConditionRulesInstalled)
	var wrong []string
	message := "reports are made on schedule"
	if scheduled != nil {
		switch scheduled.Reason {
		case v1alpha1.ReasonScheduled:
		case v1alpha1.ReasonSuspended:
			message = "the schedule is suspended"
		default:
			wrong = append(wrong, "Scheduled: "+scheduled.Message)
		}
	}
	if rules != nil {
		switch rules.Reason {
		case v1alpha1.ReasonInstalled:
			message += ", alerts are installed"
		case v1alpha1.ReasonAlertingOff:
			message += ", alerts are off"
		case v1alpha1.ReasonSelectionUnknown:
			message += ", whether alerts can fire is unknown: " + rules.Message
		case v1alpha1.ReasonPrometheusOperatorMissing, v1alpha1.ReasonNotSelected, v1alpha1.ReasonNamespaceEnforced:
			message += ", but no alerts will fire: " + rules.Message
		default:
			wrong = append(wrong, "RulesInstalled: "+rules.Message)
		}
	}
	if len(wrong) > 0 {
		o.set(is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDegraded, strings.Join(wrong, "; ")), false)
		return
	}
	o.set(is(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReconciled, message), false)
}
