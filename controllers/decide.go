package controllers

import (
	"slices"
	"strings"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// plan is the wanted state of a report.
type plan struct {
	// fault is the reason why the spec is not applied. Existing objects are left unchanged.
	fault *problem

	shared  []client.Object // objects shared by the namespace's reports
	cronJob *batchv1.CronJob
	rule    *monitoringv1.PrometheusRule // nil if alerting is off
	notes   []string                     // notes for the spec's author about the alerts
}

// problem is an error of the spec, which is not retried until the spec changes.
type problem struct{ reason, message string }

// decide returns the plan for the observed report. It reuses the rules made before, which are digests, if they are of the
// current spec. It is pure.
func decide(seen *observed, made rules, opts Options, now time.Time) plan {
	report := seen.report
	if !opts.allowed(report.Namespace) {
		return plan{fault: &problem{v1alpha1.ReasonNamespaceNotAllowed, "the operator creates no reports in the namespace " + report.Namespace +
			": create the MonitoringReport in " + strings.Join(opts.ReportNamespaces, " or ") + ", or have this one added to the operator's report namespaces"}}
	}
	resolved := seen.resolve()
	if err := desired.Check(resolved, now); err != nil {
		return plan{fault: &problem{v1alpha1.ReasonInvalidSpec, err.Error()}}
	}
	if made.generation != report.Generation {
		var err error
		if made, err = makeRules(resolved, opts); err != nil {
			return plan{fault: &problem{v1alpha1.ReasonInvalidSpec, err.Error()}}
		}
	}
	return plan{
		shared: []client.Object{
			desired.ServiceAccount(report.Namespace),
			desired.Role(report.Namespace),
			desired.RoleBinding(report.Namespace),
		},
		cronJob: desired.CronJob(resolved, opts.Desired),
		rule:    made.rule,
		notes:   made.notes,
	}
}

// makeRules returns the rules of a report, in full.
func makeRules(report desired.Resolved, opts Options) (rules, error) {
	rule, notes, err := desired.PrometheusRule(report, opts.Desired)
	if err != nil {
		return rules{}, err
	}
	made := rules{generation: report.Generation, rule: rule}
	for _, note := range notes {
		made.notes = append(made.notes, note.Objective+": "+note.Text)
	}
	return made, nil
}

// unwanted returns the report's existing objects that are not in the plan.
func (p plan) unwanted(seen *observed) []client.Object {
	var all []client.Object
	for _, object := range seen.objects {
		_, rule := object.(*monitoringv1.PrometheusRule)
		pruned := p.fault == nil && p.rule == nil && rule
		barred := p.fault != nil && p.fault.reason == v1alpha1.ReasonNamespaceNotAllowed
		if whose := whoseIs(seen.report, object); (pruned || barred) && (whose == own || whose == orphan) {
			all = append(all, object)
		}
	}
	slices.SortFunc(all, func(a, b client.Object) int { return strings.Compare(kindOf(a), kindOf(b)) })
	return all
}

// allowed reports whether reports may be created in a namespace.
func (o Options) allowed(namespace string) bool {
	return slices.Contains(o.ReportNamespaces, "*") || slices.Contains(o.ReportNamespaces, namespace)
}
