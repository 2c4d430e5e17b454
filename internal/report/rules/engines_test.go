package rules_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// pinned builds a tool of hack/tools, unless this machine has it.
func pinned(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join("..", "..", "..", "hack", "tool"), "--path", name).Output()
	if err != nil {
		t.Fatalf("hack/tool %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// written writes a report's rules and their tests for a target.
func written(t *testing.T, r rules.Report, target rules.Target) (dir string) {
	t.Helper()
	dir = t.TempDir()
	o := rules.Options{Target: target, Selector: map[string]string{"job": "api"}}
	file, _ := build(t, r, o)
	tests, err := rules.Tests(r, o, "rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"rules.yaml": yamlOf(t, file), "tests.yaml": string(tests)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func runIn(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		text := string(out)
		t.Errorf("%s %v: %v\n%s", filepath.Base(program), args, err, text[max(len(text)-4000, 0):])
	}
}

// ofEveryPeriod returns reports with all kinds of objectives, for each period of budgets.
func ofEveryPeriod() []rules.Report {
	var reports []rules.Report
	for _, period := range []rules.Period{rules.Days7, rules.Days28, rules.Days30, rules.Month} {
		r := daily(latency("slow", "GET", "/a", "0.99", "1s"), errorRate("0.01", ""), success("0.95", ""), queryTime("0.9", "100ms"), pool("0.8"),
			polling("0.1", "0.5"), cost("day", "50", objective.PeriodDay), cost("window", "7", objective.PeriodWindow))
		r.Period, r.Window = period, 30*60e9
		reports = append(reports, r)
	}
	return reports
}

// TestVictoriaMetrics checks the rules with vmalert, and runs their tests with its unit tester and engine.
func TestVictoriaMetrics(t *testing.T) {
	t.Parallel()
	vmalert, tester := pinned(t, "vmalert"), pinned(t, "vmalert-tool")
	for _, r := range ofEveryPeriod() {
		runIn(t, written(t, r, rules.VictoriaMetrics), vmalert, "-dryRun", "-rule=rules.yaml")
	}
	t.Run("its tests", func(t *testing.T) {
		t.Parallel()
		runIn(t, written(t, daily(latency("slow", "GET", "/a", "0.99", "1s"), success("0.95", ""), pool("0.8"), polling("0.1", "0.5")),
			rules.VictoriaMetrics), tester, "unittest", "--files=tests.yaml")
	})
}

// TestOtherPrometheuses uses the oldest Prometheus that docs/objectives.md allows, and the newest, which the other tests use too.
func TestOtherPrometheuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"promtool-oldest", "promtool"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			promtool := pinned(t, name)
			for _, r := range ofEveryPeriod() {
				runIn(t, written(t, r, rules.Prometheus), promtool, "check", "rules", "rules.yaml")
			}
			runIn(t, written(t, ofEveryPeriod()[2], rules.Prometheus), promtool, "test", "rules", "tests.yaml")
		})
	}
}

// TestGroupsAreSmall checks Mimir's default limits.
func TestGroupsAreSmall(t *testing.T) {
	t.Parallel()
	for _, r := range ofEveryPeriod() {
		var objectives []objective.Objective
		for i := range objective.MaxCount {
			o := errorRate("0.001", "")
			o.Name += strings.Repeat("x", i)
			objectives = append(objectives, o)
		}
		r.Objectives = objective.Resolve(objectives)
		r.Windows = []rules.Window{ // that share no range with one another, nor with those of dashboards
			{Long: 2 * 60 * 60e9, Short: 6 * 60e9, Factor: "9"},
			{Long: 3 * 60 * 60e9, Short: 7 * 60e9, Factor: "8"},
			{Long: 4 * 60 * 60e9, Short: 8 * 60e9, Factor: "7"},
			{Long: 5 * 60 * 60e9, Short: 9 * 60e9, Factor: "6"},
		}
		file, _ := build(t, r, rules.Options{Target: rules.Mimir})
		names := map[string]bool{}
		for _, g := range file.Groups {
			if len(g.Rules) > 20 || len(g.Rules) == 0 || names[g.Name] {
				t.Errorf("%s: %s has %d rules", r.Period, g.Name, len(g.Rules))
			}
			names[g.Name] = true
		}
		if len(file.Groups) > rules.MaxMimirGroups {
			t.Errorf("%s: %d groups", r.Period, len(file.Groups))
		}
	}
}

func TestUnknownTarget(t *testing.T) {
	t.Parallel()
	_, _, err := rules.Build(daily(), rules.Options{Target: "thanos"})
	if err == nil || !strings.Contains(err.Error(), "prometheus, victoriametrics, mimir") {
		t.Errorf("got %v", err)
	}
}
