package v1alpha1_test

import "strings"

const (
	between0And1 = `must be a decimal number between 0 and 1, such as "0.95"`
	share        = `must be a decimal number above 0 and at most 1, such as "0.01"`
	duration     = `must be a duration from 1us to 10m, such as "200ms"`
	route        = "must be a route that begins with /, of ASCII, such as /api/deployments/pending/{agent_id}"
	claim        = "must be a name that a PersistentVolumeClaim can have"
	secret       = "must be a name that a Secret can have"
	folders      = "must be folders such as reports/daily"
)

// Values of fields of several objectives.
var (
	quantiles    = []any{"0.5", "0.999", "0.000000001", "0.999999999"}
	noQuantiles  = []refusal{{"", empty}, {"0.0000000001", long(11)}, {"0", between0And1}, {"0.0", between0And1}, {"1.0", between0And1}, {"95", between0And1}, {"95%", between0And1}, {".5", between0And1}, {0.95, notText}}
	shares       = []any{"0.01", "0.000000001", "1", "1.0"}
	noShares     = []refusal{{"", empty}, {"0.0000000001", long(11)}, {"0", share}, {"1.000000001", share}, {"5", share}, {"1%", share}, {"-0.1", share}, {"1e-3", share}, {0.01, notText}}
	thresholds   = []any{"1us", "0.5ms", "200ms", "2.5s", "10m"}
	noThresholds = []refusal{{"", empty}, {"0000000.0000001ms", long(16)}, {"0.9us", duration}, {"10.000001m", duration}, {"601s", duration}, {"1h", duration}, {"200", duration}, {"200 ms", duration}, {"-1s", duration}, {200, notText}}
	routes       = []any{"/", "/api/deployments/pending/{agent_id}", "/" + x(255)}
	noRoutes     = []refusal{{"", empty}, {"/" + x(256), long(256)}, {"api", route}, {"/ä", route}, {"/a\n", route}}
)

var objectiveTests = []fieldTest{
	{
		"spec.objectives[0].name", `spec: {objectives: [{name: §, poolUtilization: {max: "0.8"}}]}`,
		[]any{"a", "0-a", x(63)},
		[]refusal{{"", empty}, {x(64), long(63)}, {"Pool", "must be of a-z, 0-9 and -, and begin and end with a letter or digit"}, {"a-", "must be of a-z"}, {"-a", "must be of a-z"}, {"a.b", "must be of a-z"}},
	},
	{"spec.objectives[0].latency.route", `spec: {objectives: [{name: a, latency: {route: §, quantile: "0.95", threshold: 200ms}}]}`, routes, noRoutes},
	{"spec.objectives[0].latency.method", `spec: {objectives: [{name: a, latency: {method: §, route: /, quantile: "0.95", threshold: 200ms}}]}`, []any{"GET", "DELETE"}, []refusal{{"get", unknown}}},
	{"spec.objectives[0].latency.quantile", `spec: {objectives: [{name: a, latency: {quantile: §, route: /, threshold: 200ms}}]}`, quantiles, noQuantiles},
	{"spec.objectives[0].latency.threshold", `spec: {objectives: [{name: a, latency: {threshold: §, route: /, quantile: "0.95"}}]}`, thresholds, noThresholds},
	{"spec.objectives[0].errorRate.max", `spec: {objectives: [{name: a, errorRate: {max: §}}]}`, shares, noShares},
	{"spec.objectives[0].errorRate.route", `spec: {objectives: [{name: a, errorRate: {max: "0.01", route: §}}]}`, routes, noRoutes},
	{"spec.objectives[0].poolUtilization.max", `spec: {objectives: [{name: a, poolUtilization: {max: §}}]}`, shares, noShares},
	{"spec.objectives[0].queryTime.quantile", `spec: {objectives: [{name: a, queryTime: {quantile: §, threshold: 100ms}}]}`, quantiles, noQuantiles},
	{"spec.objectives[0].queryTime.threshold", `spec: {objectives: [{name: a, queryTime: {threshold: §, quantile: "0.99"}}]}`, thresholds, noThresholds},
	{
		"spec.objectives[0].pollRate.perAgent", `spec: {objectives: [{name: a, pollRate: {perAgent: §, tolerance: "0.5"}}]}`,
		[]any{"0.1", "10", "1000", "0.000000001"},
		[]refusal{{"", empty}, {"0000.0000000001", long(14)}, {"0", `must be a decimal number above 0 and at most 1000, such as "0.1"`}, {"1000.1", "at most 1000"}, {"1/10", "decimal number"}},
	},
	{"spec.objectives[0].pollRate.tolerance", `spec: {objectives: [{name: a, pollRate: {perAgent: "0.1", tolerance: §}}]}`, shares, noShares},
	{"spec.objectives[0].successRate.min", `spec: {objectives: [{name: a, successRate: {min: §}}]}`, quantiles, noQuantiles},
	{
		"spec.objectives[0].successRate.agent", `spec: {objectives: [{name: a, successRate: {min: "0.95", agent: §}}]}`,
		[]any{"planner", "Agent Ä-1 (β) €5", strings.Repeat("ä", 128)},
		[]refusal{{"", empty}, {x(129), long(128)}, {"a\nb", "must be of characters that can be printed"}, {"a\u00a0b", "can be printed"}},
	},
	{
		"spec.objectives[0].cost.maxUSD", `spec: {objectives: [{name: a, cost: {maxUSD: §}}]}`,
		[]any{"50", "0.000000001", "1000000", "0000000.000000001"},
		[]refusal{{"", empty}, {"0000000.0000000001", long(17)}, {"0", `must be a decimal number above 0 and at most 1000000, such as "50"`}, {"1000000.1", "at most 1000000"}, {"$50", "decimal number"}, {50, notText}},
	},
	{"spec.objectives[0].cost.period", `spec: {objectives: [{name: a, cost: {maxUSD: "50", period: §}}]}`, []any{"Day", "Window"}, []refusal{{"Month", unknown}}},
}

var outputTests = []fieldTest{
	{"spec.outputs[0].format", `spec: {outputs: [{format: §, persistentVolumeClaim: {claimName: a}}]}`, []any{"HTML", "JSON", "Markdown", "CSV"}, []refusal{{"html", unknown}}},
	{
		"spec.outputs[0].persistentVolumeClaim.claimName", `spec: {outputs: [{format: CSV, persistentVolumeClaim: {claimName: §}}]}`,
		[]any{"reports", "a.b-9", strings.Repeat("x.", 126) + "x"},
		[]refusal{{"", empty}, {x(254), long(253)}, {"Reports", claim}, {"a..b", claim}},
	},
	{
		"spec.outputs[0].persistentVolumeClaim.path", `spec: {outputs: [{format: CSV, persistentVolumeClaim: {claimName: a, path: §}}]}`,
		[]any{"daily", "a/B_c.d-9/...", x(256)},
		[]refusal{{"", empty}, {x(257), long(256)}, {"/a", folders}, {"a/", folders}, {"a//b", folders}, {"a/../b", folders}, {".", folders}, {"a b", folders}},
	},
	{
		"spec.outputs[0].s3.bucket", `spec: {outputs: [{format: CSV, s3: {bucket: §, endpoint: "https://a", secretRef: {name: a}}}]}`,
		[]any{"abc", "a.b-9", x(63)},
		[]refusal{{"ab", "should be at least 3 chars long"}, {x(64), long(63)}, {"Abc", "must be of a-z, 0-9, . and -, and begin and end with a letter or digit"}, {"ab-", "must be of a-z"}},
	},
	{
		"spec.outputs[0].s3.prefix", `spec: {outputs: [{format: CSV, s3: {prefix: §, bucket: abc, endpoint: "https://a", secretRef: {name: a}}}]}`,
		[]any{"daily", "a/b", x(256)},
		[]refusal{{"", empty}, {x(257), long(256)}, {"a/", folders}, {"..", folders}},
	},
	{
		"spec.outputs[0].s3.endpoint", `spec: {outputs: [{format: CSV, s3: {endpoint: §, bucket: abc, secretRef: {name: a}}}]}`,
		[]any{"https://s3.eu-central-1.amazonaws.com", "http://minio.default.svc:9000", "https://" + x(248)},
		[]refusal{{"", empty}, {"https://" + x(249), long(256)}, {"minio:9000", "must be a URL of http or https without a path"}, {"https://a/b", "without a path"}, {"https://user:pass@a", "without a path"}},
	},
	{
		"spec.outputs[0].s3.region", `spec: {outputs: [{format: CSV, s3: {region: §, bucket: abc, endpoint: "https://a", secretRef: {name: a}}}]}`,
		[]any{"eu-central-1", x(64)},
		[]refusal{{"", empty}, {x(65), long(64)}, {"eu central", "must be a region such as eu-central-1"}},
	},
	{
		"spec.outputs[0].s3.secretRef.name", `spec: {outputs: [{format: CSV, s3: {bucket: abc, endpoint: "https://a", secretRef: {name: §}}}]}`,
		[]any{"s3", strings.Repeat("x.", 126) + "x"},
		[]refusal{{"", empty}, {x(254), long(253)}, {"S3", secret}},
	},
	{
		"spec.outputs[0].webhook.urlSecretRef.name", `spec: {outputs: [{format: CSV, webhook: {urlSecretRef: {key: url, name: §}}}]}`,
		[]any{"hook", strings.Repeat("x.", 126) + "x"},
		[]refusal{{"", empty}, {x(254), long(253)}, {"_", secret}},
	},
	{
		"spec.outputs[0].webhook.urlSecretRef.key", `spec: {outputs: [{format: CSV, webhook: {urlSecretRef: {name: a, key: §}}}]}`,
		[]any{"url", "A.b_c-9", ".a", x(253)},
		[]refusal{{"", empty}, {x(254), long(253)}, {"a/b", "must be a key that a Secret can have"}, {".", "must be a key"}, {"..", "must be a key"}, {"..a", "must be a key"}},
	},
	{"spec.outputs[0].webhook.style", `spec: {outputs: [{format: Markdown, webhook: {style: §, urlSecretRef: {name: a, key: a}}}]}`, []any{"Slack", "Generic"}, []refusal{{"Teams", unknown}}},
}

// objectTests concern several fields.
var objectTests = []struct {
	name, patch    string
	field, message string // empty: accepted
}{
	{"the least", `{}`, "", ""},
	{"no spec", `spec: null`, "spec", required},
	{"no schedule", `spec: {schedule: null}`, "spec.schedule", required},
	{"a name of 40", "metadata: {name: " + x(40) + "}", "", ""},
	{"a name of 41", "metadata: {name: " + x(41) + "}", "<nil>", "metadata.name must be at most 40 characters, since names of Jobs are made from it"},
	{"a field that is not there", `spec: {timezone: UTC}`, "", `unknown field "spec.timezone"`},
	{"an objective's field that is not there", `spec: {objectives: [{name: a, errorRate: {max: "0.1", min: "0.1"}}]}`, "", `unknown field "spec.objectives[0].errorRate.min"`},

	{"all sections", `spec: {sections: [summary, endpoints, pendingDeployments, databasePool, queries, indexes, errors, executions, costs, users]}`, "", ""},
	{"no section", `spec: {sections: []}`, "spec.sections", "should have at least 1 items"},
	{"too many sections", `spec: {sections: [` + strings.Repeat("summary, ", 10) + `summary]}`, "spec.sections", "must have at most 10 items"},
	{"a section twice", `spec: {sections: [summary, summary]}`, "spec.sections[1]", twice},

	{"32 objectives", `spec: {objectives: [` + objectives(32) + `]}`, "", ""},
	{"33 objectives", `spec: {objectives: [` + objectives(33) + `]}`, "spec.objectives", "must have at most 32 items"},
	{"no objective", `spec: {objectives: []}`, "spec.objectives", "should have at least 1 items"},
	{"an objective twice", `spec: {objectives: [{name: a, errorRate: {max: "0.1"}}, {name: a, errorRate: {max: "0.2"}}]}`, "spec.objectives[1]", twice},
	{"an objective of no kind", `spec: {objectives: [{name: a}]}`, "spec.objectives[0]", "exactly one of latency, errorRate, poolUtilization, queryTime, pollRate, successRate and cost must be set"},
	{"an objective of two kinds", `spec: {objectives: [{name: a, errorRate: {max: "0.1"}, poolUtilization: {max: "0.1"}}]}`, "spec.objectives[0]", "exactly one of latency"},
	{"an objective without a name", `spec: {objectives: [{errorRate: {max: "0.1"}}]}`, "spec.objectives[0].name", required},
	{"a latency of no route", `spec: {objectives: [{name: a, latency: {quantile: "0.5", threshold: 1s}}]}`, "spec.objectives[0].latency.route", required},
	{"a latency of no quantile", `spec: {objectives: [{name: a, latency: {route: /, threshold: 1s}}]}`, "spec.objectives[0].latency.quantile", required},
	{"a latency of no threshold", `spec: {objectives: [{name: a, latency: {route: /, quantile: "0.5"}}]}`, "spec.objectives[0].latency.threshold", required},
	{"an error rate without limit", `spec: {objectives: [{name: a, errorRate: {}}]}`, "spec.objectives[0].errorRate.max", required},
	{"a pool without limit", `spec: {objectives: [{name: a, poolUtilization: {}}]}`, "spec.objectives[0].poolUtilization.max", required},
	{"a query time of no quantile", `spec: {objectives: [{name: a, queryTime: {threshold: 1s}}]}`, "spec.objectives[0].queryTime.quantile", required},
	{"a query time of no threshold", `spec: {objectives: [{name: a, queryTime: {quantile: "0.5"}}]}`, "spec.objectives[0].queryTime.threshold", required},
	{"a poll rate of nothing", `spec: {objectives: [{name: a, pollRate: {tolerance: "0.5"}}]}`, "spec.objectives[0].pollRate.perAgent", required},
	{"a poll rate without tolerance", `spec: {objectives: [{name: a, pollRate: {perAgent: "0.1"}}]}`, "spec.objectives[0].pollRate.tolerance", required},
	{"a success rate without limit", `spec: {objectives: [{name: a, successRate: {}}]}`, "spec.objectives[0].successRate.min", required},
	{"a cost without limit", `spec: {objectives: [{name: a, cost: {}}]}`, "spec.objectives[0].cost.maxUSD", required},

	{"8 outputs", `spec: {outputs: [` + outputs(8) + `]}`, "", ""},
	{"9 outputs", `spec: {outputs: [` + outputs(9) + `]}`, "spec.outputs", "must have at most 8 items"},
	{"no output", `spec: {outputs: []}`, "", ""},
	{"an output to nowhere", `spec: {outputs: [{format: CSV}]}`, "spec.outputs[0]", "exactly one of persistentVolumeClaim, s3 and webhook must be set"},
	{"an output to two places", `spec: {outputs: [{format: CSV, persistentVolumeClaim: {claimName: a}, webhook: {urlSecretRef: {name: a, key: a}}}]}`, "spec.outputs[0]", "exactly one of persistentVolumeClaim"},
	{"an output without format", `spec: {outputs: [{persistentVolumeClaim: {claimName: a}}]}`, "spec.outputs[0].format", required},
	{"a volume without claim", `spec: {outputs: [{format: CSV, persistentVolumeClaim: {}}]}`, "spec.outputs[0].persistentVolumeClaim.claimName", required},
	{"a store without bucket", `spec: {outputs: [{format: CSV, s3: {endpoint: "https://a", secretRef: {name: a}}}]}`, "spec.outputs[0].s3.bucket", required},
	{"a store without endpoint", `spec: {outputs: [{format: CSV, s3: {bucket: abc, secretRef: {name: a}}}]}`, "spec.outputs[0].s3.endpoint", required},
	{"a store without secret", `spec: {outputs: [{format: CSV, s3: {bucket: abc, endpoint: "https://a"}}]}`, "spec.outputs[0].s3.secretRef", required},
	{"a store's secret without name", `spec: {outputs: [{format: CSV, s3: {bucket: abc, endpoint: "https://a", secretRef: {}}}]}`, "spec.outputs[0].s3.secretRef.name", required},
	{"a webhook without secret", `spec: {outputs: [{format: CSV, webhook: {}}]}`, "spec.outputs[0].webhook.urlSecretRef", required},
	{"a webhook's secret without name", `spec: {outputs: [{format: CSV, webhook: {urlSecretRef: {key: a}}}]}`, "spec.outputs[0].webhook.urlSecretRef.name", required},
	{"a webhook's secret without key", `spec: {outputs: [{format: CSV, webhook: {urlSecretRef: {name: a}}}]}`, "spec.outputs[0].webhook.urlSecretRef.key", required},
	{"Slack in HTML", `spec: {outputs: [{format: HTML, webhook: {style: Slack, urlSecretRef: {name: a, key: a}}}]}`, "spec.outputs[0]", "a webhook of style Slack takes the format Markdown"},
	{"Slack in Markdown", `spec: {outputs: [{format: Markdown, webhook: {style: Slack, urlSecretRef: {name: a, key: a}}}]}`, "", ""},
}

func objectives(n int) string {
	var all []string
	for _, name := range keys(numbered(n)) {
		all = append(all, "{name: "+name+`, errorRate: {max: "0.1"}}`)
	}
	return strings.Join(all, ", ")
}

func outputs(n int) string {
	return strings.TrimSuffix(strings.Repeat("{format: CSV, persistentVolumeClaim: {claimName: a}}, ", n), ", ")
}
