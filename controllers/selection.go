package controllers

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// prometheusObject is what a Prometheus object says of the rules that it takes. As with the Prometheus operator, a selector that is
// not there takes no rule, and of the namespaces only the Prometheus's own; an empty one takes all.
type prometheusObject struct {
	namespace, name   string
	rules, namespaces *metav1.LabelSelector
}

// candidates are what can take rules, seen from one namespace.
type candidates struct {
	unknown      string             // why they cannot be seen; empty: they can
	prometheuses []prometheusObject // in the order of their names, so that what is said of them stays the same
	namespace    string
	labels       labels.Set // the namespace's; nil: they cannot be seen
}

// taken says whether a Prometheus takes a rule with these labels. If none does, why says what is missing where.
func (c candidates) taken(rule labels.Set) (taken, known bool, why string) {
	if c.unknown != "" {
		return false, false, c.unknown
	}
	if len(c.prometheuses) == 0 {
		return false, true, "there is no Prometheus object in the cluster"
	}
	const further = 100 // what must change elsewhere than in the report, as against in it
	best, unsure := -1, ""
	for _, p := range c.prometheuses {
		around, within, known := p.lacks(c, rule)
		cost := further*len(around) + len(within)
		switch {
		case !known:
			unsure = fmt.Sprintf("whether Prometheus %s/%s takes rules of the namespace %s depends on the namespace's labels, which the controller may not read", p.namespace, p.name, c.namespace)
		case cost == 0:
			return true, true, ""
		case best < 0 || cost < best: // the one that takes the least to be content
			best = cost
			why = fmt.Sprintf("Prometheus %s/%s does not take the rules: %s", p.namespace, p.name, strings.Join(slices.Concat(around, within), "; "))
		}
	}
	if unsure != "" {
		return false, false, unsure
	}
	if more := len(c.prometheuses) - 1; more > 0 {
		why += fmt.Sprintf(" (%d more do not either)", more)
	}
	return false, true, why
}

// lacks says what must change for a Prometheus to take a rule, nothing if it does: around the report, and within its spec.
// known is false if that depends on what cannot be seen.
func (p prometheusObject) lacks(c candidates, rule labels.Set) (around, within []string, known bool) {
	known = true
	switch {
	case p.namespaces == nil:
		if p.namespace != c.namespace {
			around = append(around, "it takes those of its own namespace only: set its spec.ruleNamespaceSelector")
		}
	case len(p.namespaces.MatchLabels)+len(p.namespaces.MatchExpressions) == 0:
	case c.labels == nil:
		known = false
	default:
		for _, wish := range unmet(p.namespaces, c.labels) {
			around = append(around, fmt.Sprintf("set the label %s on the namespace %s", wish, c.namespace))
		}
	}
	if p.rules == nil {
		return append(around, "it takes none: set its spec.ruleSelector"), nil, true
	}
	for _, wish := range unmet(p.rules, rule) {
		within = append(within, fmt.Sprintf("set the label %s in spec.alerting.ruleLabels", wish))
	}
	return around, within, known || len(within) > 0 // who does not take the rule's labels does not take them in any namespace
}

// unmet are the requirements of a selector that labels do not meet, in words such as release=prometheus.
func unmet(selector *metav1.LabelSelector, have labels.Set) []string {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return []string{"(its selector is invalid: " + err.Error() + ")"}
	}
	requirements, _ := parsed.Requirements()
	var wishes []string
	for _, requirement := range requirements {
		if requirement.Matches(have) {
			continue
		}
		wish := requirement.String()
		if one := requirement.ValuesUnsorted(); len(one) == 1 && requirement.Operator() == selection.In {
			wish = requirement.Key() + "=" + one[0]
		}
		wishes = append(wishes, wish)
	}
	slices.Sort(wishes)
	return wishes
}
