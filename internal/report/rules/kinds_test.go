package rules_test

import (
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// Every kind of objective has rules.
func TestEveryKindHasRules(t *testing.T) {
	t.Parallel()
	r := daily(append(objective.Defaults(), cost("budget", "50", objective.PeriodDay))...)
	r.Mode = rules.Threshold
	has := map[objective.Kind]bool{}
	for _, kind := range objective.Kinds() {
		if !rules.HasKind(kind) {
			t.Errorf("no rules are made for objectives of kind %s", kind)
		}
	}
	file, _ := build(t, r, rules.Options{})
	for _, group := range file.Groups {
		for _, o := range r.Objectives.All {
			if strings.HasSuffix(group.Name, ".objective:"+o.Name) {
				has[o.Kind] = true
			}
		}
	}
	for _, kind := range objective.Kinds() {
		if !has[kind] {
			t.Errorf("no group of rules for kind %s", kind)
		}
	}
}
