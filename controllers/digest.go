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

// digestMark tells a digest from rules: no JSON is read as an expression that has a number beside its text, so that nobody
// can pass off a rule as the digest of others.
const digestMark = 1

// digested returns groups that have, in place of their rules, one that stands for them: their SHA-256. So they are held
// against others, and so they are in the cache; rules are most of what is made of a report, tens of kilobytes. Of digests it
// makes the same digests, as client-go asks of what changes the cache's objects.
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
