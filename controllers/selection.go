package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// evaluator is a Prometheus or ThanosRuler object: which rules it selects and how it changes them. As in the Prometheus
// operator, a missing rule selector selects no rule, a missing namespace selector only the object's namespace, and an empty
// selector everything.
type evaluator struct {
	kind, namespace, name string
	rules, namespaces     *metav1.LabelSelector

	enforced string          // enforcedNamespaceLabel; may be empty
	excluded []ruleReference // rules excluded from enforcement

	paused bool // the operator does not apply changes to it
	idle   bool // it has no replicas
}

// ruleReference identifies a rule, or all rules of a namespace if it has no name.
type ruleReference struct{ namespace, name string }

func (e evaluator) String() string { return fmt.Sprintf("%s %s/%s", e.kind, e.namespace, e.name) }

// candidates are the evaluators that may evaluate rules of one namespace.
type candidates struct {
	unknown    string      // why some cannot be read; empty if all can
	evaluators []evaluator // in a fixed order, so that messages do not change
	namespace  string
	labels     labels.Set // the namespace's; nil if they cannot be read
}

// ruleSeen is the part of a PrometheusRule that decides which evaluators select it.
type ruleSeen struct {
	name     string
	labels   labels.Set
	bindings []binding // the Prometheus operator's status of it
	api      string    // the namespace of the API's series; empty if not known
}

// binding is the Prometheus operator's status of a rule's current generation for an evaluator.
type binding struct {
	kind, namespace, name string
	accepted              bool
	message               string
}

// taken is whether rules are evaluated: the evaluator, or the condition's reason and message if there is none.
type taken struct{ by, reason, why string }

// taken reports whether an evaluator evaluates a rule and sees the API's series. The operator's status of a rule takes
// precedence over conclusions from selectors.
func (c candidates) taken(rule ruleSeen) taken {
	var refused, blind, unsure string
	var lacking []lack
	for _, e := range c.evaluators {
		b := rule.binding(e)
		lacks := e.lacks(c, rule.labels)
		switch {
		case b != nil && !b.accepted:
			refused = fmt.Sprintf("the Prometheus operator does not give the rules to %s: %s", e, b.message)
		case e.idle:
			lacking = append(lacking, lack{e, 1, []string{"it has no replicas"}, false})
		case b == nil && lacks.unsure:
			unsure = fmt.Sprintf("whether %s selects rules of the namespace %s depends on the namespace's labels, which the controller may not read", e, c.namespace)
		case b == nil && len(lacks.changes) > 0:
			lacking = append(lacking, lacks)
		case b == nil && e.paused:
			unsure = fmt.Sprintf("%s would select the rules, but it is paused, so the Prometheus operator may not have given them to it", e)
		case !e.enforces(c.namespace, rule.name), rule.api == c.namespace:
			return taken{by: e.String()}
		case rule.api == "":
			unsure = fmt.Sprintf("%s selects the rules, but restricts them to series with %s=%s, by its spec.enforcedNamespaceLabel. Whether the API's series are among them is not known: "+
				"the controller's metrics selector names no namespace", e, e.enforced, c.namespace)
		default:
			blind = fmt.Sprintf("%s selects the rules, but restricts them to series with %s=%s, by its spec.enforcedNamespaceLabel. The API's series are of the namespace %s: "+
				"create the MonitoringReport there, or name the PrometheusRule %s/%s in the %s's spec.excludedFromEnforcement", e, e.enforced, c.namespace, rule.api, c.namespace, rule.name, e.kind)
		}
	}
	if by := c.unseen(rule); by != "" {
		return taken{by: by + ", which the controller may not read,"}
	}
	switch {
	case refused != "":
		return taken{reason: v1alpha1.ReasonRejected, why: refused}
	case blind != "":
		return taken{reason: v1alpha1.ReasonNamespaceEnforced, why: blind}
	case unsure != "":
		return taken{reason: v1alpha1.ReasonSelectionUnknown, why: unsure}
	case c.unknown != "" && len(lacking) > 0:
		return taken{reason: v1alpha1.ReasonSelectionUnknown, why: c.unknown + "; " + nearest(lacking)}
	case c.unknown != "":
		return taken{reason: v1alpha1.ReasonSelectionUnknown, why: c.unknown}
	case len(lacking) == 0:
		return taken{reason: v1alpha1.ReasonSelectionUnknown, why: "there is no Prometheus or ThanosRuler object in the cluster; whether something else evaluates the rules " +
			"(such as Grafana Alloy, or the operator of VictoriaMetrics) cannot be seen"}
	}
	return taken{reason: v1alpha1.ReasonNotSelected, why: nearest(lacking)}
}

// binding returns the operator's status of a rule for an evaluator, or nil.
func (r ruleSeen) binding(e evaluator) *binding {
	for i, b := range r.bindings {
		if b.of(e) {
			return &r.bindings[i]
		}
	}
	return nil
}

func (b binding) of(e evaluator) bool {
	return b.kind == e.kind && b.namespace == e.namespace && b.name == e.name
}

// unseen returns the evaluator of a rule according to the operator, if not all evaluators can be read. If they can, one that
// is missing was deleted.
func (c candidates) unseen(rule ruleSeen) string {
	for _, b := range rule.bindings {
		known := slices.ContainsFunc(c.evaluators, b.of)
		if b.accepted && c.unknown != "" && !known {
			return fmt.Sprintf("%s %s/%s", b.kind, b.namespace, b.name)
		}
	}
	return ""
}

// lack is what must change for an evaluator to select a rule. unsure is set if that depends on unreadable objects.
type lack struct {
	evaluator evaluator
	cost      int
	changes   []string
	unsure    bool
}

// nearest returns the smallest change with which an evaluator would select the rules.
func nearest(lacking []lack) string {
	best := slices.MinFunc(lacking, func(a, b lack) int { return cmp.Compare(a.cost, b.cost) })
	why := fmt.Sprintf("%s does not select the rules: %s", best.evaluator, strings.Join(best.changes, "; "))
	if more := len(lacking) - 1; more > 0 {
		why += fmt.Sprintf(" (%d more do not either)", more)
	}
	return why
}

// lacks returns what must change for an evaluator to select a rule; nothing if it does.
func (e evaluator) lacks(c candidates, rule labels.Set) lack {
	const around = 100 // the cost of what must change elsewhere than in the report
	l := lack{evaluator: e}
	add := func(cost int, change string) {
		l.cost += cost
		l.changes = append(l.changes, change)
	}
	switch {
	case e.namespaces == nil:
		if e.namespace != c.namespace {
			add(around, "it selects only rules in its own namespace: set its spec.ruleNamespaceSelector")
		}
	case len(e.namespaces.MatchLabels)+len(e.namespaces.MatchExpressions) == 0:
	case c.labels == nil:
		l.unsure = true
	default:
		for _, change := range unmet(e.namespaces, c.labels) {
			add(around, fmt.Sprintf("set the label %s on the namespace %s", change, c.namespace))
		}
	}
	if e.rules == nil {
		add(around, "it selects none: set its spec.ruleSelector")
		l.unsure = false
		return l
	}
	for _, change := range unmet(e.rules, rule) {
		add(1, fmt.Sprintf("set the label %s in spec.alerting.ruleLabels", change))
		l.unsure = false // it does not take these labels in any namespace
	}
	return l
}

// enforces reports whether an evaluator limits a rule to series of the rule's namespace.
func (e evaluator) enforces(namespace, rule string) bool {
	return e.enforced != "" && !slices.ContainsFunc(e.excluded, func(r ruleReference) bool {
		return r.namespace == namespace && (r.name == "" || r.name == rule)
	})
}

// unmet returns the requirements of a selector that labels do not meet, such as release=prometheus.
func unmet(selector *metav1.LabelSelector, have labels.Set) []string {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return []string{"(its selector is invalid: " + err.Error() + ")"}
	}
	requirements, _ := parsed.Requirements()
	var changes []string
	for _, requirement := range requirements {
		if requirement.Matches(have) {
			continue
		}
		change := requirement.String()
		if one := requirement.ValuesUnsorted(); len(one) == 1 && requirement.Operator() == selection.In {
			change = requirement.Key() + "=" + one[0]
		}
		changes = append(changes, change)
	}
	slices.Sort(changes)
	return changes
}
