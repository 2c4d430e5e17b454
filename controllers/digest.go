package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// digestMark distinguishes a digest from rules: no JSON decodes to an expression with both a number and a text, so a rule
// cannot be forged as the digest of others.
const digestMark = 1

// digested returns groups with one entry, their rules' SHA-256, in place of the rules. Rules are compared and cached in this
// form, since they are most of a report's objects, tens of kilobytes. It is idempotent, as client-go requires of transforms.
func digested(groups []monitoringv1.RuleGroup) ([]monitoringv1.RuleGroup, error) {
	short := slices.Clone(groups)
	for i, group := range groups {
		if isDigest(group) {
			continue
		}
		text, err := json.Marshal(group.Rules) // sorts keys
		if err != nil {
			return nil, fmt.Errorf("digest rules of %s: %w", group.Name, err)
		}
		sum := sha256.Sum256(text)
		expr := intstr.FromString(hex.EncodeToString(sum[:]))
		expr.IntVal = digestMark
		short[i].Rules = []monitoringv1.Rule{{Expr: expr}}
	}
	return short, nil
}

func isDigest(group monitoringv1.RuleGroup) bool {
	return len(group.Rules) == 1 && group.Rules[0].Expr.Type == intstr.String && group.Rules[0].Expr.IntVal == digestMark
}
