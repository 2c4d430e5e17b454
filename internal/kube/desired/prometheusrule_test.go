package desired_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// installed returns the rule of a report, and checks that Prometheus's parser accepts it as prometheus-operator writes it.
func installed(t *testing.T, mr *v1alpha1.MonitoringReport) *monitoringv1.PrometheusRule {
	t.Helper()
	if err := desired.Check(desired.Resolve(mr), now); err != nil {
		t.Fatal(err)
	}
	rule, _, err := desired.PrometheusRule(desired.Resolve(mr), options())
	if err != nil {
		t.Fatal(err)
	}
	file, err := yaml.Marshal(rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, faults := rulefmt.Parse(file, false, model.LegacyValidation)
	if len(faults) > 0 {
		t.Fatalf("Prometheus refuses the rules: %v\n%s", errors.Join(faults...), file)
	}
	if len(groups.Groups) == 0 {
		t.Fatalf("there are no rules:\n%s", file)
	}
	const limit = 512 << 10 // prometheus-operator's limit for a rule
	if len(file) > limit {
		t.Errorf("the rules have %d bytes, and prometheus-operator takes %d", len(file), limit)
	}
	return rule
}

func TestPrometheusAcceptsRules(t *testing.T) {
	t.Parallel()
	for _, name := range cases {
		if mr := sample(t, name); mr.Spec.Alerting.Mode != v1alpha1.AlertNone {
			installed(t, mr)
		}
	}
	many := sample(t, "everything")
	many.Name, many.Spec.Objectives = strings.Repeat("n", desired.MaxName), nil
	for i := range objective.MaxCount { // of the kind with the most rules, with realistic names
		many.Spec.Objectives = append(many.Spec.Objectives, v1alpha1.Objective{
			Name: fmt.Sprintf("pending-of-team-%d", i),
			Latency: &v1alpha1.LatencyObjective{
				Route: v1alpha1.Route(fmt.Sprintf("/api/teams/%d/deployments/pending/{agent_id}", i)), Quantile: "0.999", Threshold: "200ms",
			},
		})
	}
	installed(t, many)
}

func TestPrometheusRuleKeepsEveryFieldOfTheRules(t *testing.T) {
	t.Parallel()
	mr := sample(t, "everything")
	built, wantNotes, err := rules.Build(rules.Report{
		Namespace: "fleet", Name: "everything", Objectives: objective.Resolve(desired.Objectives(mr)), Mode: rules.BurnRate, MinEvents: 100,
		Labels: map[string]string{"team": "platform", "severity": "info"}, RunbookURL: "https://runbooks.example.com/watchbill",
		Window: 24 * time.Hour,
	}, options().Rules)
	if err != nil {
		t.Fatal(err)
	}
	rule, notes, err := desired.PrometheusRule(desired.Resolve(mr), options())
	if err != nil {
		t.Fatal(err)
	}
	generic := func(v any) (read any) {
		t.Helper()
		written, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &read); err != nil {
			t.Fatal(err)
		}
		return read
	}
	if diff := cmp.Diff(generic(built), generic(rule.Spec)); diff != "" {
		t.Errorf("(-rules +PrometheusRule):\n%s", diff)
	}
	if diff := cmp.Diff(wantNotes, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func TestRuleLabelsDoNotReplaceOurs(t *testing.T) {
	t.Parallel()
	mr := sample(t, "minimal")
	mr.Spec.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{v1alpha1.LabelReport: "another"} // rejected by Check
	rule, _, err := desired.PrometheusRule(desired.Resolve(mr), options())
	if err != nil {
		t.Fatal(err)
	}
	if got := rule.Labels[v1alpha1.LabelReport]; got != mr.Name {
		t.Errorf("the rule is labelled as that of the report %s, want %s", got, mr.Name)
	}
}

// between has a threshold that is not a bucket boundary: how many queries were faster is unknown.
var between = []v1alpha1.Objective{
	{Name: "errors", ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.01"}},
	{Name: "slow", QueryTime: &v1alpha1.QueryTimeObjective{Quantile: "0.99", Threshold: "750ms"}},
}

func TestObjectivesWithoutAlert(t *testing.T) {
	t.Parallel()
	mr := sample(t, "minimal")
	mr.Spec.Objectives = between
	fields, all := faulty(t, mr)
	if diff := cmp.Diff([]string{"spec.objectives[1].queryTime.threshold"}, fields); diff != "" {
		t.Errorf("Check (-want +got):\n%s\n%s", diff, all)
	}
	var faults report.FieldErrors
	if rule, _, err := desired.PrometheusRule(desired.Resolve(mr), options()); rule != nil || !errors.As(err, &faults) {
		t.Errorf("PrometheusRule returns %v and %v, want report.FieldErrors alone", rule, err)
	}
	mr.Spec.Alerting.Mode = v1alpha1.AlertNone
	if err := desired.Check(desired.Resolve(mr), now); err != nil {
		t.Errorf("without alerts, it can be measured all the same: %v", err)
	}
}

func TestHostileStringsAreInert(t *testing.T) {
	t.Parallel()
	with := func(route, agent, label string) *v1alpha1.MonitoringReport {
		mr := sample(t, "everything")
		mr.Spec.Objectives = []v1alpha1.Objective{
			{Name: "a", Latency: &v1alpha1.LatencyObjective{Route: v1alpha1.Route("/" + route), Quantile: "0.95", Threshold: "200ms"}},
			{Name: "b", ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.01", Route: v1alpha1.Route("/" + route)}},
			{Name: "c", SuccessRate: &v1alpha1.SuccessObjective{Min: "0.95", Agent: agent}},
		}
		mr.Spec.Alerting.Labels = map[string]v1alpha1.AlertLabelValue{"team": v1alpha1.AlertLabelValue(label)}
		return mr
	}
	normalize := installed(t, with("tame", "tame", "tame"))
	for _, s := range hostile {
		t.Run(s, func(t *testing.T) {
			t.Parallel()
			text := s
			if fields, _ := faulty(t, with(text, text, "tame")); fields != nil {
				text = "tame" // Check rejects it in routes and agents
			}
			rule := installed(t, with(text, text, s))
			if len(rule.Spec.Groups) != len(normalize.Spec.Groups) {
				t.Fatalf("makes %d groups, want %d", len(rule.Spec.Groups), len(normalize.Spec.Groups))
			}
			for i, group := range rule.Spec.Groups {
				if len(group.Rules) != len(normalize.Spec.Groups[i].Rules) {
					t.Fatalf("makes %d rules in %s, want %d", len(group.Rules), group.Name, len(normalize.Spec.Groups[i].Rules))
				}
				for j, got := range group.Rules {
					want := normalize.Spec.Groups[i].Rules[j]
					if diff := cmp.Diff(normalized(t, want.Expr.StrVal, "tame"), normalized(t, got.Expr.StrVal, text)); diff != "" {
						t.Errorf("%s%s changes its meaning (-tame +got):\n%s", got.Record, got.Alert, diff)
					}
					if got.Alert == "" {
						continue
					}
					if label := expanded(t, got.Labels["team"]); label != s {
						t.Errorf("the label of %s becomes %q", got.Alert, label)
					}
					for name, annotation := range got.Annotations {
						want := strings.ReplaceAll(expanded(t, want.Annotations[name]), "tame", text)
						if diff := cmp.Diff(want, expanded(t, annotation)); diff != "" {
							t.Errorf("%s's %s changes its meaning (-tame +got):\n%s", got.Alert, name, diff)
						}
					}
				}
			}
		})
	}
}

// normalized returns an expression with the string in its matchers replaced.
func normalized(t *testing.T, expr, hostile string) string {
	t.Helper()
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			for i, m := range selector.LabelMatchers {
				if value := strings.TrimPrefix(m.Value, "/"); value == hostile {
					name := strings.TrimSuffix(m.Value, hostile)
					selector.LabelMatchers[i] = labels.MustNewMatcher(m.Type, m.Name, name+"tame")
				}
			}
		}
		return nil
	})
	return tree.String()
}

// expanded returns a label's or annotation's template as expanded by Prometheus.
func expanded(t *testing.T, text string) string {
	t.Helper()
	data := template.AlertTemplateData(map[string]string{"report": "everything"}, nil, "", promql.Sample{F: 0.5})
	definitions := "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
	result, err := template.NewTemplateExpander(t.Context(), definitions+text, "t", data, 0, nil, nil, nil).Expand()
	if err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return result
}
