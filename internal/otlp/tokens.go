package otlp

import (
	"fmt"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/usage"
)

// account sets what a model's call used, what its price depends on, and what its provider charges. The call's model, provider,
// status and output are set already. A wrong count has the attribute's name in its fault.
func (t *translation) account(s *span, e *execution.Execution) *fault {
	report := usage.Report{Source: usage.Source{Scope: s.scope, Provider: e.Provider, Model: e.Model}}
	if wrong := s.report(&report); wrong != nil {
		return wrong
	}
	for _, name := range answers {
		if text := s.attributes[name].GetStringValue(); text != "" {
			report.Answer(text)
		}
	}
	told := report.Settle()
	if report.TooMany() {
		return &fault{field: "gen_ai.usage", why: fmt.Sprintf("comes to more than %d tokens of one kind", execution.MaxTokens)}
	}
	e.Tokens, e.Billing, e.ProviderCost = told.Tokens, told.Billing, told.Cost
	e.Usage = told.Usage(e.Status, e.Output != nil || s.attributes.has("gen_ai.response.id", "ai.response.id", "gen_ai.response.finish_reasons"))
	if e.Billing.Region == "" {
		e.Billing.Region = s.region(e.Provider)
	}
	if execution.RegionOf(e.Model) == "" { // else the model's own name says it
		e.Billing.RegionFrom(s.attributes.name(execution.MaxName, requestModelNames...))
	}
	t.missed = append(t.missed, told.Unread...)
	return nil
}

// report takes what the span's attributes count, and returns the first fault.
func (s *span) report(report *usage.Report) (first *fault) {
	for _, pair := range s.sent.GetAttributes() {
		name := usage.Attribute(pair.GetKey())
		if name.Silent() {
			continue
		}
		if err := takeUsage(report, pair.GetKey(), name, pair.GetValue()); err != nil && first == nil {
			first = &fault{field: pair.GetKey(), why: err.Error()}
		}
	}
	return first
}

// accountRun sets what a run says that it used, with its model. That counts only where none of its calls is known, so counts that
// are wrong are left out.
func (s *span) accountRun(e *execution.Execution) {
	if !slices.ContainsFunc(s.sent.GetAttributes(), func(a *commonpb.KeyValue) bool { return !usage.Attribute(a.GetKey()).Silent() }) {
		return
	}
	model, provider := s.model(), s.provider()
	report := usage.Report{Source: usage.Source{Scope: s.scope, Provider: provider, Model: model}}
	_ = s.report(&report)
	told := report.Settle()
	if told.Tokens.Used == 0 || report.TooMany() {
		return
	}
	e.Model, e.Provider = model, provider
	e.Tokens, e.Billing, e.ProviderCost = told.Tokens, told.Billing, told.Cost
	e.Usage = told.Usage(e.Status, true)
}

// takeUsage takes an attribute's value, whichever type it has.
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

// region returns where a model of a cloud's ran: in the name of its server, or where the process runs, which calls the same
// region unless told otherwise.
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
	return strings.ToLower(s.nearby(maxRegion, regionNames))
}

const maxRegion = 32 // bytes

var regionNames = []string{"cloud.region"}
