package desired_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/report"
)

// faulty returns the paths of Check's errors, in order, and their text.
func faulty(t *testing.T, mr *v1alpha1.MonitoringReport) (fields []string, all string) {
	t.Helper()
	err := desired.Check(desired.Resolve(mr), now)
	if err == nil {
		return nil, ""
	}
	var faults report.FieldErrors
	if !errors.As(err, &faults) {
		t.Fatalf("%T is no report.FieldErrors: %v", err, err)
	}
	for _, fault := range faults {
		fields = append(fields, fault.Field)
		if fault.Problem == "" {
			t.Errorf("%s: nothing is said about it", fault.Field)
		}
	}
	slices.Sort(fields)
	return fields, err.Error()
}

func volume(claim, path string, format v1alpha1.Format) v1alpha1.Output {
	return v1alpha1.Output{Format: format, PersistentVolumeClaim: &v1alpha1.VolumeOutput{ClaimName: claim, Path: path}}
}

func bucket(change func(*v1alpha1.S3Output)) v1alpha1.Output {
	s := &v1alpha1.S3Output{Bucket: "reports", Endpoint: "https://s3.example.com", SecretRef: v1alpha1.SecretReference{Name: "s3"}}
	change(s)
	return v1alpha1.Output{Format: v1alpha1.FormatJSON, S3: s}
}

func hook(format v1alpha1.Format, style v1alpha1.WebhookStyle, name, key string) v1alpha1.Output {
	return v1alpha1.Output{Format: format, Webhook: &v1alpha1.WebhookOutput{
		URLSecretRef: v1alpha1.SecretKeyReference{Name: name, Key: key}, Style: style,
	}}
}

func TestCheckReportsTheFault(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.MonitoringReportSpec
	outputs := func(all ...v1alpha1.Output) func(*spec) { return func(s *spec) { s.Outputs = all } }
	objectives := func(all ...v1alpha1.Objective) func(*spec) { return func(s *spec) { s.Objectives = all } }
	tests := []struct {
		name   string
		change func(*spec)
		field  string
		says   string // part of the text
	}{
		{"no schedule", func(s *spec) { s.Schedule = "" }, "spec.schedule", "CronJobs"},
		{"six fields", func(s *spec) { s.Schedule = "0 0 0 * * *" }, "spec.schedule", "CronJobs"},
		{"a minute too many", func(s *spec) { s.Schedule = "60 * * * *" }, "spec.schedule", `"60 * * * *"`},
		{"a schedule that never comes due", func(s *spec) { s.Schedule = "0 0 31 2 *" }, "spec.schedule", "never comes due"},
		{"a schedule with a zone", func(s *spec) { s.Schedule = "TZ=Asia/Tokyo 0 0 * * *" }, "spec.schedule", "use timeZone"},
		{"a schedule with a CRON_TZ alone", func(s *spec) { s.Schedule = "CRON_TZ=UTC" }, "spec.schedule", "use timeZone"},
		{"a schedule of seconds", func(s *spec) { s.Schedule = "@every 30s" }, "spec.schedule", "whole minutes"},
		{"a schedule of odd seconds", func(s *spec) { s.Schedule = "@every 90s" }, "spec.schedule", "whole minutes"},
		{"a schedule that is long", func(s *spec) { s.Schedule = strings.Repeat("0,", 70) + "0 * * * *" }, "spec.schedule", "longer"},
		{"a zone of nobody", func(s *spec) { s.TimeZone = "Europe/Atlantis" }, "spec.timeZone", "Europe/Berlin"},
		{"the machine's zone", func(s *spec) { s.TimeZone = "LOCAL" }, "spec.timeZone", "Europe/Berlin"},
		{"a zone by another path", func(s *spec) { s.TimeZone = "Europe//Berlin" }, "spec.timeZone", "Europe/Berlin"},
		{"a zone out of the database", func(s *spec) { s.TimeZone = "../Etc/UTC" }, "spec.timeZone", "Europe/Berlin"},
		{"a policy of nobody", func(s *spec) { s.ConcurrencyPolicy = "Queue" }, "spec.concurrencyPolicy", "Forbid, Replace, Allow"},
		{"a hasty deadline", func(s *spec) { s.StartingDeadlineSeconds = 5 }, "spec.startingDeadlineSeconds", "60"},
		{"a window of seconds", func(s *spec) { s.Window = "90s" }, "spec.window", "whole minutes"},
		{"a window of nothing", func(s *spec) { s.Window = "0m" }, "spec.window", "whole minutes"},
		{"a window backwards", func(s *spec) { s.Window = "-1h" }, "spec.window", "whole minutes"},
		{"a window of days", func(s *spec) { s.Window = "1d" }, "spec.window", `"1d"`},
		{"a window of years", func(s *spec) { s.Window = "8784h1m" }, "spec.window", "8784h"},
		{"no window, and slots four years apart", func(s *spec) { s.Schedule = "0 0 29 2 *" }, "spec.window", "must be set"},
		{"a comparison with nothing known", func(s *spec) { s.CompareWith = "Last" }, "spec.compareWith", "Previous, None"},
		{"a section of nobody", func(s *spec) { s.Sections = []v1alpha1.Section{"summary", "weather"} }, "spec.sections[1]", "weather"},
		{"a section twice", func(s *spec) { s.Sections = []v1alpha1.Section{"users", "users"} }, "spec.sections[1]", "duplicated"},
		{"no section", func(s *spec) { s.Sections = []v1alpha1.Section{} }, "spec.sections", "leave it out"},

		{"no objective", func(s *spec) { s.Objectives = []v1alpha1.Objective{} }, "spec.objectives", "leave it out"},
		{"an objective of no kind", objectives(v1alpha1.Objective{Name: "x"}), "spec.objectives[0]", "one of latency"},
		{
			"an objective of two kinds",
			objectives(v1alpha1.Objective{Name: "x", PoolUtilization: &v1alpha1.PoolObjective{Max: "0.8"}, ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.1"}}),
			"spec.objectives[0]", "only one",
		},
		{"an objective without a name", objectives(v1alpha1.Objective{ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.1"}}), "spec.objectives[0].name", ""},
		{
			"two objectives of a name",
			objectives(v1alpha1.Objective{Name: "x", ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.1"}}, v1alpha1.Objective{Name: "x", PoolUtilization: &v1alpha1.PoolObjective{Max: "0.8"}}),
			"spec.objectives[1].name", "objectives[0]",
		},
		{"more errors than answers", objectives(v1alpha1.Objective{Name: "x", ErrorRate: &v1alpha1.ErrorRateObjective{Max: "1.5"}}), "spec.objectives[0].errorRate.max", `"1.5"`},
		{
			"an agent that cannot be printed",
			objectives(v1alpha1.Objective{Name: "x", SuccessRate: &v1alpha1.SuccessObjective{Min: "0.9", Agent: "a\nb"}}),
			"spec.objectives[0].successRate.agent", "printed",
		},

		{"a mode of nobody", func(s *spec) { s.Alerting.Mode = "Loud" }, "spec.alerting.mode", "BurnRate, Threshold or None"},
		{"fewer than no events", func(s *spec) { s.Alerting.MinEvents = -1 }, "spec.alerting.minEvents", ""},
		{"a label that Prometheus has not", alertLabel("my-team", "x"), "spec.alerting.labels", `"my-team"`},
		{"a label of Prometheus's own", alertLabel("__name__", "x"), "spec.alerting.labels", `"__name__"`},
		{"a label that is set", alertLabel("report", "x"), "spec.alerting.labels", "report is set already"},
		{"a label that is not UTF-8", alertLabel("team", "\xff"), "spec.alerting.labels.team", "UTF-8"},
		{"a label that is long", alertLabel("team", v1alpha1.AlertLabelValue(strings.Repeat("x", 257))), "spec.alerting.labels.team", "256"},
		{"labels without end", manyLabels(17), "spec.alerting.labels", "16"},
		{"a rule's label that Kubernetes has not", ruleLabel("re lease", "x"), "spec.alerting.ruleLabels", `"re lease"`},
		{"a rule's label of ours", ruleLabel("monitoring.watchbill.dev/report", "x"), "spec.alerting.ruleLabels", "take another"},
		{"a rule's label of app's", ruleLabel("app.kubernetes.io/name", "x"), "spec.alerting.ruleLabels", "take another"},
		{"a rule's label of no value that can be", ruleLabel("release", "a b"), "spec.alerting.ruleLabels.release", `"a b"`},
		{"a runbook in a file", func(s *spec) { s.Alerting.RunbookURL = "file:///etc" }, "spec.alerting.runbookURL", "http"},
		{"a runbook without a host", func(s *spec) { s.Alerting.RunbookURL = "https:///x" }, "spec.alerting.runbookURL", "http"},
		{"a runbook on two lines", func(s *spec) { s.Alerting.RunbookURL = "https://x/\ny" }, "spec.alerting.runbookURL", "http"},

		{"an output of nothing", outputs(v1alpha1.Output{Format: "CSV"}), "spec.outputs[0]", "one of persistentVolumeClaim"},
		{
			"an output of two places",
			outputs(v1alpha1.Output{Format: "Markdown", PersistentVolumeClaim: volume("a", "", "").PersistentVolumeClaim, Webhook: hook("", "", "h", "url").Webhook}),
			"spec.outputs[0]", "only one of persistentVolumeClaim, webhook",
		},
		{"outputs without end", outputs(make([]v1alpha1.Output, 9)...), "spec.outputs", "8"},
		{"a format of nobody", outputs(volume("a", "", "PDF")), "spec.outputs[0].format", "HTML, JSON, Markdown, CSV"},
		{"a claim of no name", outputs(volume("", "", "CSV")), "spec.outputs[0].persistentVolumeClaim.claimName", "PersistentVolumeClaim"},
		{"a claim of no name that can be", outputs(volume("a..b", "", "CSV")), "spec.outputs[0].persistentVolumeClaim.claimName", `"a..b"`},
		{"a path out of the volume", outputs(volume("a", "x/../../y", "CSV")), "spec.outputs[0].persistentVolumeClaim.path", "folders"},
		{"a path from the root", outputs(volume("a", "/etc", "CSV")), "spec.outputs[0].persistentVolumeClaim.path", `"/etc"`},
		{"a path with a hole", outputs(volume("a", "x//y", "CSV")), "spec.outputs[0].persistentVolumeClaim.path", `"x//y"`},
		{"a path on two lines", outputs(volume("a", "x\ny", "CSV")), "spec.outputs[0].persistentVolumeClaim.path", "folders"},
		{"a bucket of no name that can be", outputs(bucket(func(s *v1alpha1.S3Output) { s.Bucket = "Reports" })), "spec.outputs[0].s3.bucket", `"Reports"`},
		{"a bucket with a hole", outputs(bucket(func(s *v1alpha1.S3Output) { s.Bucket = "a..b" })), "spec.outputs[0].s3.bucket", `"a..b"`},
		{"a prefix out of the bucket", outputs(bucket(func(s *v1alpha1.S3Output) { s.Prefix = ".." })), "spec.outputs[0].s3.prefix", "folders"},
		{"an endpoint without a scheme", outputs(bucket(func(s *v1alpha1.S3Output) { s.Endpoint = "s3.example.com" })), "spec.outputs[0].s3.endpoint", "https://"},
		{"an endpoint with a password", outputs(bucket(func(s *v1alpha1.S3Output) { s.Endpoint = "https://u:p@s3.example.com" })), "spec.outputs[0].s3.endpoint", "https://"},
		{"an endpoint of no port that can be", outputs(bucket(func(s *v1alpha1.S3Output) { s.Endpoint = "https://s3:70000" })), "spec.outputs[0].s3.endpoint", "https://"},
		{"a region that is none", outputs(bucket(func(s *v1alpha1.S3Output) { s.Region = "eu central" })), "spec.outputs[0].s3.region", "eu-central-1"},
		{"a bucket without a secret", outputs(bucket(func(s *v1alpha1.S3Output) { s.SecretRef.Name = "" })), "spec.outputs[0].s3.secretRef.name", "Secret"},
		{"a hook without a secret", outputs(hook("JSON", "", "", "url")), "spec.outputs[0].webhook.urlSecretRef.name", "Secret"},
		{"a hook without a key", outputs(hook("JSON", "", "hook", "")), "spec.outputs[0].webhook.urlSecretRef.key", "key"},
		{"a key out of the secret", outputs(hook("JSON", "", "hook", "../url")), "spec.outputs[0].webhook.urlSecretRef.key", `"../url"`},
		{"a style of nobody", outputs(hook("JSON", "Teams", "hook", "url")), "spec.outputs[0].webhook.style", "Slack, Generic"},
		{"Slack in JSON", outputs(hook("JSON", "Slack", "hook", "url")), "spec.outputs[0].webhook.style", "Markdown"},
		{
			"one file twice", outputs(volume("a", "x", "CSV"), volume("a", "y", "CSV"), volume("a", "x", "CSV")),
			"spec.outputs[2]", "spec.outputs[0]",
		},
		{
			"one object twice, by another spelling",
			outputs(bucket(func(*v1alpha1.S3Output) {}), bucket(func(s *v1alpha1.S3Output) { s.Endpoint, s.Region = "https://S3.example.com:443", "x" })),
			"spec.outputs[1]", "spec.outputs[0]",
		},
		{"no runs kept", func(s *spec) { s.Retention.SuccessfulRuns = -1 }, "spec.retention.successfulRuns", "100"},
		{"failed runs without end", func(s *spec) { s.Retention.FailedRuns = 101 }, "spec.retention.failedRuns", "100"},
		{"reports without end", func(s *spec) { s.Retention.Reports = 1001 }, "spec.retention.reports", "1000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mr := sample(t, "minimal")
			tt.change(&mr.Spec)
			fields, all := faulty(t, mr)
			if diff := cmp.Diff([]string{tt.field}, fields); diff != "" {
				t.Fatalf("(-want +got):\n%s\n%s", diff, all)
			}
			if !strings.Contains(all, tt.says) {
				t.Errorf("says %q, want something about %q", all, tt.says)
			}
		})
	}
}

func alertLabel(name string, value v1alpha1.AlertLabelValue) func(*v1alpha1.MonitoringReportSpec) {
	return func(s *v1alpha1.MonitoringReportSpec) {
		s.Alerting.Labels = map[string]v1alpha1.AlertLabelValue{name: value}
	}
}

func manyLabels(n int) func(*v1alpha1.MonitoringReportSpec) {
	return func(s *v1alpha1.MonitoringReportSpec) {
		s.Alerting.Labels = map[string]v1alpha1.AlertLabelValue{}
		for i := range n {
			s.Alerting.Labels[fmt.Sprintf("l%d", i)] = "x"
		}
	}
}

func ruleLabel(name string, value v1alpha1.RuleLabelValue) func(*v1alpha1.MonitoringReportSpec) {
	return func(s *v1alpha1.MonitoringReportSpec) {
		s.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{name: value}
	}
}

func TestCheckReportsOwnName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{strings.Repeat("n", 41), "", "Daily", "a b"} {
		mr := sample(t, "minimal")
		mr.Name = name
		if fields, all := faulty(t, mr); !slices.Equal(fields, []string{"metadata.name"}) {
			t.Errorf("%q: %v, want metadata.name alone: %s", name, fields, all)
		}
	}
}

func TestCheckReportsAllFaults(t *testing.T) {
	t.Parallel()
	mr := sample(t, "everything")
	mr.Spec.Schedule, mr.Spec.TimeZone, mr.Spec.Window = "never", "Nowhere", "1d"
	mr.Spec.Sections[3] = "weather"
	mr.Spec.Objectives[1].ErrorRate.Max = "2"
	mr.Spec.Objectives[3].QueryTime.Threshold = "soon"
	mr.Spec.Alerting.RunbookURL = "docs"
	mr.Spec.Outputs[0].PersistentVolumeClaim.Path = ".."
	mr.Spec.Outputs[2].Format = v1alpha1.FormatHTML
	mr.Spec.Retention.Reports = 5000
	want := []string{
		"spec.alerting.runbookURL", "spec.objectives[1].errorRate.max", "spec.objectives[3].queryTime.threshold",
		"spec.outputs[0].persistentVolumeClaim.path", "spec.outputs[2].webhook.style", "spec.retention.reports", "spec.schedule",
		"spec.sections[3]", "spec.timeZone", "spec.window",
	}
	fields, all := faulty(t, mr)
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, all)
	}
}

func TestCheckAcceptsValidSpecs(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.MonitoringReportSpec
	tests := map[string]func(*spec){
		"a descriptor":                      func(s *spec) { s.Schedule = "@daily" },
		"once a year":                       func(s *spec) { s.Schedule = "@yearly" },
		"an interval":                       func(s *spec) { s.Schedule = "@every 1h30m" },
		"names of days":                     func(s *spec) { s.Schedule = "0 8 * JAN-MAR MON-FRI" },
		"the 29th of February":              func(s *spec) { s.Schedule, s.Window = "0 0 29 2 *", "8784h" },
		"a zone of three parts":             func(s *spec) { s.TimeZone = "America/Argentina/ComodRivadavia" },
		"a zone of an offset":               func(s *spec) { s.TimeZone = "Etc/GMT+5" },
		"the longest window":                func(s *spec) { s.Window = "8784h" },
		"the shortest window":               func(s *spec) { s.Window = "60s" },
		"a mixed window":                    func(s *spec) { s.Window = "1h30m" },
		"a replaced severity":               alertLabel("severity", "none"),
		"an empty label":                    alertLabel("team", ""),
		"the most labels":                   manyLabels(16),
		"a rule's label of one's own":       ruleLabel("example.com/tier", "gold"),
		"a runbook with a port":             func(s *spec) { s.Alerting.RunbookURL = "http://wiki.internal:8090/run%20books" },
		"another format in the same folder": func(s *spec) { s.Outputs = []v1alpha1.Output{volume("a", "x", "CSV"), volume("a", "x", "HTML")} },
		"two hooks":                         func(s *spec) { s.Outputs = []v1alpha1.Output{hook("CSV", "", "h", "a"), hook("CSV", "", "h", "b")} },
		"a bucket with a port": func(s *spec) {
			s.Outputs = []v1alpha1.Output{bucket(func(s *v1alpha1.S3Output) { s.Endpoint = "http://minio:9000" })}
		},
		"other stores of the same bucket": func(s *spec) {
			s.Outputs = []v1alpha1.Output{bucket(func(*v1alpha1.S3Output) {}), bucket(func(s *v1alpha1.S3Output) { s.Endpoint = "http://minio:9000" })}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mr := sample(t, "minimal")
			change(&mr.Spec)
			if err := desired.Check(desired.Resolve(mr), now); err != nil {
				t.Error(err)
			}
		})
	}
}
