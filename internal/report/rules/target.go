package rules

import (
	"fmt"
	"strings"
)

// Target is what evaluates the rules.
type Target string

// The targets.
const (
	Prometheus      Target = "prometheus"
	VictoriaMetrics Target = "victoriametrics" // vmalert
	Mimir           Target = "mimir"           // Grafana Mimir's ruler
)

// Targets are all of them; the first is the default.
var Targets = []Target{Prometheus, VictoriaMetrics, Mimir}

// maxGroupRules is how many rules a group may have: Mimir's limit where nobody has raised it.
const maxGroupRules = 20

// MaxMimirGroups is how many groups a tenant of Mimir may have where nobody has raised that.
const MaxMimirGroups = 70

// engine is what rules must know of a target.
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
