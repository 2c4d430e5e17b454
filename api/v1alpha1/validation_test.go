package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Messages of the API server for values that the schema rejects.
const (
	empty    = "should be at least 1 chars long"
	unknown  = "Unsupported value"
	notText  = "must be of type string"
	required = "Required value"
	twice    = "Duplicate value"
)

func long(limit int) string    { return fmt.Sprintf("may not be more than %d bytes", limit) }
func above(limit int) string   { return fmt.Sprintf("should be less than or equal to %d", limit) }
func below(minimum int) string { return fmt.Sprintf("should be greater than or equal to %d", minimum) }

// x returns a word of n letters.
func x(n int) string { return strings.Repeat("x", n) }

// refusal is a rejected value with its message.
type refusal struct {
	value   any
	message string
}

// fieldTest puts values into one field, at § in a patch: at its limits and just beyond.
type fieldTest struct {
	field    string
	patch    string
	accepted []any
	refused  []refusal
}

var fieldTests = []fieldTest{
	{
		"spec.schedule", `spec: {schedule: §}`,
		[]any{"*/5 8-18 * * MON-FRI", "@daily", "@every 1h", x(128)}, // its meaning is checked by the controller
		[]refusal{{"", empty}, {x(129), long(128)}, {"TZ=UTC 0 0 * * *", "must not name a time zone; use timeZone"}, {5, notText}},
	},
	{
		"spec.timeZone", `spec: {timeZone: §}`,
		[]any{"Europe/Berlin", "Etc/UTC", x(64)},
		[]refusal{{"", empty}, {x(65), long(64)}, {"Local", "must name a zone, such as Europe/Berlin"}, {"local", "must name a zone"}},
	},
	{"spec.suspend", `spec: {suspend: §}`, []any{true, false}, []refusal{{"yes", "must be of type boolean"}}},
	{"spec.concurrencyPolicy", `spec: {concurrencyPolicy: §}`, []any{"Forbid", "Replace", "Allow"}, []refusal{{"forbid", unknown}}},
	{"spec.startingDeadlineSeconds", `spec: {startingDeadlineSeconds: §}`, []any{60, 604800}, []refusal{{59, below(60)}, {604801, above(604800)}}},
	{
		"spec.window", `spec: {window: §}`,
		[]any{"1m", "60s", "24h", "1h30m", "8784h", "527040m", "31622400s", "0000h000001m00000060s"},
		[]refusal{
			{"", empty},
			{strings.Repeat("1", 32) + "m", long(32)},
			{"59s", "must be whole minutes from 1m to 8784h, such as 24h or 1h30m"},
			{"90s", "whole minutes"},
			{"8784h1m", "8784h"},
			{"9999999h", "8784h"},
			{"1d", "whole minutes"},
			{"-1h", "whole minutes"},
			{"1.5h", "whole minutes"},
			{"24", "whole minutes"},
			{24, notText},
		},
	},
	{"spec.compareWith", `spec: {compareWith: §}`, []any{"Previous", "None"}, []refusal{{"Next", unknown}}},
	{"spec.sections[0]", `spec: {sections: [§]}`, []any{"summary", "users"}, []refusal{{"pending_deployments", unknown}}},
	{"spec.alerting.mode", `spec: {alerting: {mode: §}}`, []any{"BurnRate", "Threshold", "None"}, []refusal{{"burnRate", unknown}}},
	{"spec.alerting.minEvents", `spec: {alerting: {minEvents: §}}`, []any{1, 1000000000}, []refusal{{0, below(1)}, {1000000001, above(1000000000)}}},
	{"spec.alerting.period", `spec: {alerting: {period: §}}`, []any{"7d", "28d", "30d", "Month"}, []refusal{{"1w", unknown}, {"month", unknown}}},
	{
		"spec.alerting.interval", `spec: {alerting: {interval: §}}`,
		[]any{"10s", "30s", "1m", "1m30s", "2m"},
		[]refusal{{"", empty}, {"9s", "from 10s to 2m"}, {"121s", "from 10s to 2m"}, {"soon", "from 10s to 2m"}, {"00m000060s", long(8)}},
	},
	{
		"spec.alerting.windows", `spec: {alerting: {windows: §}}`,
		[]any{
			[]any{map[string]any{"long": "1h", "factor": "14.4"}},
			[]any{map[string]any{"long": "6m", "short": "5m", "factor": "0.5", "tier": "slow", "severity": "page", "for": "0s", "keepFiringFor": "24h"}},
		},
		[]refusal{
			{[]any{}, "should have at least 1 items"},
			{[]any{map[string]any{"long": "1h", "factor": "1"}, map[string]any{"long": "1h", "factor": "2"}}, twice},
			{[]any{
				map[string]any{"long": "1h", "factor": "1"},
				map[string]any{"long": "2h", "factor": "2"},
				map[string]any{"long": "3h", "factor": "3"},
				map[string]any{"long": "4h", "factor": "4"},
				map[string]any{"long": "5h", "factor": "5"},
			}, "must have at most 4 items"},
		},
	},
	{
		"spec.alerting.windows[0]", `spec: {alerting: {windows: [§]}}`, nil,
		[]refusal{
			{map[string]any{"long": "1h", "short": "1h", "factor": "1"}, "short must be less than long"},
			{map[string]any{"long": "1h", "short": "90m", "factor": "1"}, "short must be less than long"},
		},
	},
	{
		"spec.alerting.windows[0].long", `spec: {alerting: {windows: [{factor: "1", long: §}]}}`,
		[]any{"6m", "72h", "744h"},
		[]refusal{
			{nil, required},
			{"", empty},
			{"4m", "from 5m to 744h"},
			{"745h", "from 5m to 744h"},
			{"90s", "from 5m to 744h"},
			{"3d", "from 5m to 744h"},
			{x(13), long(12)},
		},
	},
	{
		"spec.alerting.windows[0].short", `spec: {alerting: {windows: [{factor: "1", long: 100h, short: §}]}}`,
		[]any{"5m", "99h"},
		[]refusal{{"", empty}, {"4m", "from 5m to 744h"}, {"1h1s", "from 5m to 744h"}, {x(13), long(12)}},
	},
	{
		"spec.alerting.windows[0].factor", `spec: {alerting: {windows: [{long: 1h, factor: §}]}}`,
		[]any{"14.4", "1", "0.000000001", "1000"},
		[]refusal{{nil, required}, {"", empty}, {"0", "above 0"}, {"1000.1", "at most 1000"}, {"1e2", "must be a decimal"}, {x(15), long(14)}, {14.4, notText}},
	},
	{"spec.alerting.windows[0].tier", `spec: {alerting: {windows: [{long: 1h, factor: "1", tier: §}]}}`, []any{"fast", "slow"}, []refusal{{"page", unknown}}},
	{
		"spec.alerting.windows[0].severity", `spec: {alerting: {windows: [{long: 1h, factor: "1", severity: §}]}}`,
		[]any{"page", x(256)},
		[]refusal{{"", empty}, {x(257), long(256)}},
	},
	{
		"spec.alerting.windows[0].for", `spec: {alerting: {windows: [{long: 1h, factor: "1", for: §}]}}`,
		[]any{"0s", "2m", "24h"},
		[]refusal{{"", empty}, {"25h", "up to 24h"}, {"1d", "up to 24h"}, {x(17), long(16)}},
	},
	{
		"spec.alerting.windows[0].keepFiringFor", `spec: {alerting: {windows: [{long: 1h, factor: "1", keepFiringFor: §}]}}`,
		[]any{"0s", "2m", "24h"},
		[]refusal{{"", empty}, {"25h", "up to 24h"}, {"1.5m", "up to 24h"}, {x(17), long(16)}},
	},
	{"spec.alerting.severities.fast", `spec: {alerting: {severities: {fast: §}}}`, []any{"page", x(256)}, []refusal{{"", empty}, {x(257), long(256)}}},
	{"spec.alerting.severities.slow", `spec: {alerting: {severities: {slow: §}}}`, []any{"ticket", x(256)}, []refusal{{"", empty}, {x(257), long(256)}}},
	{
		"spec.alerting.labels", `spec: {alerting: {labels: §}}`,
		[]any{map[string]string{}, map[string]string{"team": "ops", "severity": "info", "_A9": ""}, numbered(16), map[string]string{x(63): "v"}},
		[]refusal{
			{numbered(17), "must have at most 16 items"},
			{map[string]string{"objective": "v"}, "must be named like Prometheus's, and not alertname, objective, report, report_namespace or window"},
			{map[string]string{"__name__": "v"}, "must be named like"},
			{map[string]string{"a-b": "v"}, "must be named like"},
			{map[string]string{"9a": "v"}, "must be named like"},
			{map[string]string{x(64): "v"}, "must be named like"},
		},
	},
	{"spec.alerting.labels.team", `spec: {alerting: {labels: {team: §}}}`, []any{"Größe, 100 %", x(256)}, []refusal{{x(257), long(256)}, {1, notText}}},
	{
		"spec.alerting.ruleLabels", `spec: {alerting: {ruleLabels: §}}`,
		[]any{map[string]string{}, map[string]string{"release": "kube-prometheus-stack", "example.com/a_b.c": ""}, numbered(16), map[string]string{x(63): "v"}},
		[]refusal{
			{numbered(17), "must have at most 16 items"},
			{map[string]string{"app.kubernetes.io/name": "v"}, "must be named like Kubernetes's labels, and not of app.kubernetes.io or monitoring.watchbill.dev"},
			{map[string]string{"monitoring.watchbill.dev/report": "v"}, "must be named like"},
			{map[string]string{"a b": "v"}, "must be named like"},
			{map[string]string{"a..b/c": "v"}, "must be named like"},
			{map[string]string{x(64): "v"}, "must be named like"},
		},
	},
	{
		"spec.alerting.ruleLabels.release", `spec: {alerting: {ruleLabels: {release: §}}}`,
		[]any{"", "a.B_c-9", x(63)},
		[]refusal{{x(64), long(63)}, {"-a", "must be a value that Kubernetes's labels can have"}, {"a b", "must be a value"}},
	},
	{
		"spec.alerting.runbookURL", `spec: {alerting: {runbookURL: §}}`,
		[]any{"", "https://example.com/runbooks", "http://" + x(505)},
		[]refusal{{"http://" + x(506), long(512)}, {"example.com", "must be a URL of http or https"}, {"https://a b", "must be a URL"}},
	},
	{"spec.retention.successfulRuns", `spec: {retention: {successfulRuns: §}}`, []any{1, 100}, []refusal{{0, below(1)}, {101, above(100)}}},
	{"spec.retention.failedRuns", `spec: {retention: {failedRuns: §}}`, []any{1, 100}, []refusal{{0, below(1)}, {101, above(100)}}},
	{"spec.retention.reports", `spec: {retention: {reports: §}}`, []any{1, 1000}, []refusal{{0, below(1)}, {1001, above(1000)}}},
}

// put replaces § in a patch with a value.
func put(t *testing.T, patch string, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(patch, "§", string(text), 1)
}

// numbered returns a map of n labels.
func numbered(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprintf("l%d", i)] = "v"
	}
	return m
}

// seen collects the faults that parallel tests provoked.
type seen struct {
	mu     sync.Mutex
	faults []violation
}

func (s *seen) add(found []violation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, found...)
}

func TestValidation(t *testing.T) {
	var all seen
	t.Run("fields", func(t *testing.T) {
		for _, tt := range slices.Concat(fieldTests, objectiveTests, outputTests) {
			t.Run(tt.field, func(t *testing.T) {
				t.Parallel()
				for _, value := range tt.accepted {
					if _, err := create(t, put(t, tt.patch, value)); err != nil {
						t.Errorf("%.80q was refused: %v", fmt.Sprint(value), err)
					}
				}
				for _, refused := range tt.refused {
					_, err := create(t, put(t, tt.patch, refused.value))
					all.add(wantFault(t, err, tt.field, refused.message))
				}
			})
		}
	})
	t.Run("objects", func(t *testing.T) {
		for _, tt := range objectTests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				_, err := create(t, tt.patch)
				if tt.message == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				all.add(wantFault(t, err, tt.field, tt.message))
			})
		}
	})
	t.Run("updates", func(t *testing.T) { all.add(testUpdates(t)) })
	t.Run("every rule was broken", func(t *testing.T) { wantEveryRuleBroken(t, all.faults) })
}
