package otlp

import (
	"fmt"
	"strings"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/execution/usage"
)

// account sets a model call's usage, its billing details and the provider's charge. The call's model, provider, status
// and output must be set. The fault for an invalid count contains the attribute's name.
func (t *translation) account(s *span, e *execution.Execution) *rejection {
	report := usage.Report{Source: usage.Source{Scope: s.scope, Provider: e.Provider, Model: e.Model, Reads: s.onlyReads()}}
	for i, pair := range s.attributes.pairs {
		if !s.attributes.carriesUsage(i) {
			continue
		}
		name := traitsOf.Get(pair.GetKey()).usage
		if name.Silent() {
			continue
		}
		if err := takeUsage(&report, pair.GetKey(), name, pair.GetValue()); err != nil {
			return &rejection{field: pair.GetKey(), why: err.Error()}
		}
	}
	for _, name := range answers {
		if text := s.attributes.value(name).GetStringValue(); text != "" {
			report.Answer(text)
		}
	}
	settled := report.Settle()
	if report.TooMany() {
		return &rejection{field: "gen_ai.usage", why: fmt.Sprintf("sums to more than %d tokens of one kind", execution.MaxTokens)}
	}
	e.Tokens, e.Billing, e.ProviderCost = settled.Tokens, settled.Billing, settled.Cost
	e.Usage = settled.Usage(e.Status, e.Output != nil || s.attributes.has("gen_ai.response.id", "ai.response.id", "gen_ai.response.finish_reasons"))
	if e.Billing.Region == "" {
		e.Billing.Region = s.region(e.Provider)
	}
	if prices.RegionOf(e.Model) == "" { // otherwise the model's name contains it
		prices.NoteRegion(&e.Billing, s.attributes.name(execution.MaxName, requestModelNames...))
	}
	for _, name := range settled.Unread {
		t.missed = append(t.missed, s.work.texts.keep(name))
	}
	e.Billing.ServiceTier, e.Billing.Region = s.work.texts.keep(e.Billing.ServiceTier), s.work.texts.keep(e.Billing.Region)
	return nil
}

// onlyReads reports whether a call's operation has no tokens of output.
func (s *span) onlyReads() bool {
	switch s.attributes.text(roleNames...) {
	case "embeddings", "embedding", "embed", "embedder", "EMBEDDING", "rerank", "reranker", "RERANKER", "ai.embed.doEmbed", "ai.embedMany.doEmbed", "ai.rerank.doRerank":
		return true
	}
	return false
}

// accountRun sets the usage that a run reports for itself and all calls in it, and the model that it names. Other
// attributes belong to the application, so invalid values do not cause the run to be rejected.
func (s *span) accountRun(e *execution.Execution) {
	if !counted(&s.attributes) {
		return
	}
	model, provider := s.model(), s.provider()
	report := usage.Report{Source: usage.Source{Scope: s.scope, Provider: provider, Model: model}}
	for _, pair := range s.sent.GetAttributes() {
		if name := usage.Attribute(pair.GetKey()); name.Measures() && takeUsage(&report, pair.GetKey(), name, pair.GetValue()) != nil {
			return
		}
	}
	if settled := report.Settle(); settled.Counted() && !report.TooMany() {
		e.Tokens, e.Model, e.Provider = settled.Tokens, model, provider
	}
}

// takeUsage adds an attribute of any type to the report.
func takeUsage(report *usage.Report, key string, name usage.Name, value *commonpb.AnyValue) error {
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_IntValue:
		return report.Number(key, name, float64(v.IntValue))
	case *commonpb.AnyValue_DoubleValue:
		return report.Number(key, name, v.DoubleValue)
	case *commonpb.AnyValue_StringValue:
		return report.Text(key, name, v.StringValue)
	case *commonpb.AnyValue_KvlistValue:
		return report.Text(key, name, string(encodeValue(value)))
	case nil:
		return nil
	}
	return report.Other(name)
}

// region returns the region in which a cloud provider's model ran: the one in the server's name, or that of the
// process, which is the default of the provider's SDK.
func (s *span) region(provider string) string {
	var after, before string
	switch {
	case strings.Contains(provider, "bedrock"):
		after, before = "bedrock-runtime.", ".amazonaws.com"
	case strings.Contains(provider, "vertex"):
		before = "-aiplatform.googleapis.com"
	default:
		return ""
	}
	if name, ok := strings.CutSuffix(s.attributes.text("server.address"), before); ok {
		if name, ok = strings.CutPrefix(name, after); ok {
			return toName(strings.ToLower(name), maxRegion)
		}
	}
	return s.around.region
}

const maxRegion = 32 // bytes

var regionNames = []string{"cloud.region"}

// addsUp reports whether a tool use is from a library whose next call also counts the calls before it. Spring AI does
// so before version 2, where models run tools within their own call. Later versions have execute_tool spans, and each
// call counts only itself.
func (s *span) addsUp() bool {
	return s.role == toolUse && s.attributes.text("spring.ai.kind") == "tool_call" && s.attributes.text("gen_ai.operation.name") == "framework"
}
