package rules

import (
	"fmt"
	"strings"
)

// Target is the program that evaluates the rules.
type Target string

// The targets.
const (
	Prometheus      Target = "prometheus"
	VictoriaMetrics Target = "victoriametrics" // vmalert
	Mimir           Target = "mimir"           // Grafana Mimir's ruler
)

// Targets are all targets; the first is the default.
var Targets = []Target{Prometheus, VictoriaMetrics, Mimir}

// maxGroupRules is the maximum number of rules in a group: Mimir's default limit.
const maxGroupRules = 20

// MaxMimirGroups is Mimir's default limit of a tenant's groups.
const MaxMimirGroups = 70

// engine are the properties of a target.
type engine struct {
	native    bool // has functions for native histograms
	metricsQL bool // its unit tester calls tests of expressions metricsql_expr_test
}

var engines = map[Target]engine{
	Prometheus:      {native: true},
	Mimir:           {native: true}, // promtool tests its rules
	VictoriaMetrics: {metricsQL: true},
}

// ParseTarget returns the target of that name; the default if it is empty.
func ParseTarget(name string) (Target, error) {
	if name == "" {
		return Targets[0], nil
	}
	if _, known := engines[Target(name)]; !known {
		names := make([]string, len(Targets))
		for i, t := range Targets {
			names[i] = string(t)
		}
		return "", fmt.Errorf("must be one of %s, not %.40q", strings.Join(names, ", "), name)
	}
	return Target(name), nil
}
