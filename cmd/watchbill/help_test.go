package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/internal/text"
)

// eachCommand calls do with every command.
func eachCommand(do func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		do(cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(stdio{strings.NewReader(""), io.Discard, io.Discard}, func(string) (string, bool) { return "", false }))
}

// leaning matches descriptions that cannot be understood without another flag's, such as a pronoun before any noun.
var leaning = regexp.MustCompile(`^(\S+ ){0,3}(it|its|their|they|them)\b|^(the same|how long by|after which)\b|\b(that folder|for that)\b`)

// defaults matches a default that does not read well: an empty one, Go's form of a list, or hours where days are meant.
var defaults = regexp.MustCompile(`\(default (\)|\[|\S*h0m)`)

func TestFlagDescriptionsStandAlone(t *testing.T) {
	t.Parallel()
	eachCommand(func(cmd *cobra.Command) {
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(func(f *pflag.Flag) {
				name, usage := pflag.UnquoteUsage(f)
				if len(usage) < 12 {
					t.Errorf("%s --%s: %q says too little", cmd.CommandPath(), f.Name, usage)
				}
				if found := leaning.FindString(usage); found != "" {
					t.Errorf("%s --%s: %q leans on another description by %q", cmd.CommandPath(), f.Name, usage, found)
				}
				if name == "int32" || strings.HasPrefix(name, "string") {
					t.Errorf("%s --%s: the help calls its value %q; put a noun of the description in backquotes", cmd.CommandPath(), f.Name, name)
				}
			})
			for line := range strings.Lines(flags.FlagUsages()) {
				if unreadable := defaults.FindString(line); unreadable != "" {
					t.Errorf("%s: %q in the help of%s", cmd.CommandPath(), unreadable, line)
				}
			}
		}
	})
}

func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../charts/watchbill/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var chart struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(content, &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != version || chart.AppVersion != version {
		t.Errorf("the chart has version %s and appVersion %s, the program %s", chart.Version, chart.AppVersion, version)
	}
	readme, err := os.ReadFile("../../config/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "IMG=registry.example/watchbill:" + version; !strings.Contains(string(readme), want) {
		t.Errorf("config/README.md does not have %s", want)
	}
	var watchbill shell
	want := watchbill.must(t, "version")
	if got := watchbill.must(t, "--version"); got != want || !strings.HasPrefix(got, "watchbill "+version) {
		t.Errorf("--version prints %q and version %q", got, want)
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ in, out string }{
		{"30d", "30d"},
		{"720h", "30d"},
		{"1d12h", "36h"},
		{"1h30m", "1h30m"},
		{"90s", "1m30s"},
		{"60s", "1m"},
		{"1h0m5s", "1h0m5s"},
		{"500ms", "500ms"},
		{"0", "0"},
		{"-1h", "-1h"},
		{"1830d", "1830d"},
		{"10m", "10m"},
		{"24h", "24h"},
	} {
		d, err := parseDuration(test.in)
		if err != nil || text.Duration(d) != test.out {
			t.Errorf("%s: want %s, got %s, %v", test.in, test.out, text.Duration(d), err)
		}
		if again, err := parseDuration(test.out); err != nil || again != d {
			t.Errorf("%s is read as %s, %v", test.out, again, err)
		}
	}
	for _, bad := range []string{"", "d", "3x", "1.5d", "-1d", "1d-1h", "1d2d", "70000d", "1d12"} {
		if d, err := parseDuration(bad); err == nil {
			t.Errorf("%q is read as %s", bad, d)
		}
	}
	if text.Duration(48*time.Hour) != "2d" {
		t.Error(text.Duration(48 * time.Hour))
	}
}

func TestRulesNamesANumberThatMustBeAString(t *testing.T) {
	t.Parallel()
	manifest := "apiVersion: monitoring.watchbill.dev/v1alpha1\nkind: MonitoringReport\nmetadata: {name: 5}\n"
	got := shell{stdin: manifest}.run(t.Context(), "rules", "--file", "-")
	if want := "metadata.name must be a string, not a number: put it in quotes"; got.code != exitUsage || !strings.Contains(got.err, want) {
		t.Errorf("want exit 2 and %q, got %d: %s", want, got.code, got.err)
	}
}
