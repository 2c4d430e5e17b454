package desired

import (
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// PrometheusRule returns a report's alerts with their recording rules, and notes for its author; nil if alerting is off. The
// error is report.FieldErrors; Check finds the same faults except for too many rules.
func PrometheusRule(r Resolved, opts Options) (*monitoringv1.PrometheusRule, []rules.Note, error) {
	if r.Spec.Alerting.Mode == v1alpha1.AlertNone {
		return nil, nil, nil
	}
	file, notes, err := rules.Build(r.Rules, opts.Rules)
	if err != nil {
		var f faults
		f.take(err, ruleField)
		return nil, nil, f.err()
	}
	meta := owned(r.MonitoringReport, PrometheusRuleName(r.Name))
	for name, value := range r.Spec.Alerting.RuleLabels {
		if _, ours := meta.Labels[name]; !ours {
			meta.Labels[name] = string(value)
		}
	}
	return &monitoringv1.PrometheusRule{
		TypeMeta:   typed(monitoringv1.SchemeGroupVersion, monitoringv1.PrometheusRuleKind),
		ObjectMeta: meta,
		Spec:       monitoringv1.PrometheusRuleSpec{Groups: ruleGroups(file)},
	}, notes, nil
}

func alertWindows(windows []v1alpha1.AlertWindow) []rules.Window {
	var all []rules.Window
	for _, w := range windows {
		of := rules.Window{
			Long: span(w.Long), Factor: w.Factor, Tier: rules.Tier(w.Tier), Severity: string(w.Severity),
			For: delay(w.For), KeepFiringFor: delay(w.KeepFiringFor),
		}
		if w.Short != "" {
			of.Short = span(w.Short)
		}
		all = append(all, of)
	}
	return all
}

func severities(s *v1alpha1.AlertSeverities) map[rules.Tier]string {
	all := map[rules.Tier]string{}
	if s == nil {
		return all
	}
	for tier, severity := range map[rules.Tier]v1alpha1.AlertLabelValue{rules.Fast: s.Fast, rules.Slow: s.Slow} {
		if severity != "" {
			all[tier] = string(severity)
		}
	}
	return all
}

// span parses a duration. For an invalid one it returns a value that rules reject.
func span[T ~string](s T) time.Duration {
	d, err := time.ParseDuration(string(s))
	if err != nil {
		return -1
	}
	return d
}

// delay returns nil for an empty value.
func delay(s v1alpha1.AlertDelay) *time.Duration {
	if s == "" {
		return nil
	}
	return new(span(s))
}

// ruleGroups converts rules to prometheus-operator's types.
func ruleGroups(file rules.File) []monitoringv1.RuleGroup {
	groups := make([]monitoringv1.RuleGroup, len(file.Groups))
	for i, g := range file.Groups {
		groups[i] = monitoringv1.RuleGroup{Name: g.Name, Interval: optional[monitoringv1.Duration](g.Interval)}
		for _, r := range g.Rules {
			groups[i].Rules = append(groups[i].Rules, monitoringv1.Rule{
				Record:        r.Record,
				Alert:         r.Alert,
				Expr:          intstr.FromString(r.Expr),
				For:           optional[monitoringv1.Duration](r.For),
				KeepFiringFor: optional[monitoringv1.NonEmptyDuration](r.KeepFiringFor),
				Labels:        r.Labels,
				Annotations:   r.Annotations,
			})
		}
	}
	return groups
}

// optional returns nil for an empty value.
func optional[T ~string](s string) *T {
	if s == "" {
		return nil
	}
	return new(T(s))
}
