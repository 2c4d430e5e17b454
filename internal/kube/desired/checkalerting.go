package desired

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report/rules"
	"github.com/watchbill/watchbill/internal/text"
)

const maxLabels = 16

// alerting checks the fields of alerts as internal/report/rules does.
func (f *faults) alerting(r Resolved) {
	f.take(rules.Check(r.Rules, rules.Options{}), ruleField)
	f.ruleLabels(r.Spec.Alerting.RuleLabels)
}

// ruleField returns the field of a MonitoringReport for a field of internal/report/rules.
func ruleField(field string) string {
	root := field
	if i := strings.IndexAny(field, ".["); i >= 0 {
		root = field[:i]
	}
	switch root {
	case "namespace", "name":
		return "metadata." + field
	case "objectives", "window":
		return "spec." + field
	default:
		return "spec.alerting." + field
	}
}

func (f *faults) ruleLabels(labels map[string]v1alpha1.RuleLabelValue) {
	const path = "spec.alerting.ruleLabels"
	if len(labels) > maxLabels {
		f.add(path, "there may be %d, not %d", maxLabels, len(labels))
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := string(labels[name])
		switch {
		case len(validation.IsQualifiedName(name)) > 0:
			f.add(path, "must be named like Kubernetes' labels, such as release, not %s", text.Quote(name, 40))
		case strings.HasPrefix(name, "app.kubernetes.io/") || strings.HasPrefix(name, "monitoring.watchbill.dev/"):
			f.add(path, "%s is set already or kept for Watchbill; take another name", name)
		case len(validation.IsValidLabelValue(value)) > 0:
			f.add(path+"."+name, "must be a value that Kubernetes' labels can have, not %s", text.Quote(value, 40))
		}
	}
}
