package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// TestClientNamesInLabels checks that labels show names of libraries and counts, but nothing that may identify a person
// or be a secret.
func TestClientNamesInLabels(t *testing.T) {
	t.Parallel()
	for name, shown := range map[string]bool{
		"opentelemetry.instrumentation.openai_v2":                 true,
		"@opentelemetry/instrumentation-aws-sdk":                  true,
		"github.com/acme/agents/otel":                             true,
		"Experimental.Microsoft.Extensions.AI":                    true,
		"io.opentelemetry.OpenTelemetryChatClientInstrumentation": true,
		"acme.usage.ephemeral_1h_frobnicated_tokens":              true,
		"usage.text-embedding-ada-002.frobnicatedTokens":          true,
		"-ada&co":           false,
		"ada@example.com":   false,
		"usage.Ада.tokens":  false,
		"usage.ada\ntokens": false,
		"usage.sk-ant-api03-abcdef0123456789.tokens":        false,
		"usage.4bf92f35-77b3-4da6-a3ce-929d0e0e4736.tokens": false,
		"usage.+4915112345678.tokens":                       false,
		"usage.004915112345678.tokens":                      false,
		"usage.AKIAIOSFODNN7EXAMPLE.password=hunter2":       false,
		`tokens{user="ada"}`:                                false,
	} {
		want := name
		if !shown {
			want = "other"
		}
		core, logs := observer.New(zapcore.WarnLevel)
		registry := prometheus.NewPedanticRegistry()
		metrics.NewUnreadSpans(registry).Observe(name, 1)
		metrics.NewUnreadCounts(registry, zap.New(core)).Observe(name)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if got := family.GetMetric()[0].GetLabel()[0].GetValue(); got != want {
				t.Errorf("%s of %q: label %q, want %q", family.GetName(), name, got, want)
			}
		}
		if got := logs.Len() > 0; got != shown {
			t.Errorf("%q: logged %v, want %v", name, got, shown)
		}
	}
}
