package otlp

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// isAbsent reports whether a text means no value in some language or library.
func isAbsent(text string) bool {
	if text = strings.TrimSpace(text); len(text) > len("[object object]") {
		return false
	}
	return isNone(strings.ToLower(text))
}

func isNone(text string) bool {
	switch text {
	case "", "none", "null", "nil", "undefined", "n/a", "nan", "-", `""`, "''", "{}", "[]", "<nil>", "<none>", "<null>", "(none)", "[object object]":
		return true
	}
	return false
}

// isPlaceholder reports whether a name means none, an unknown one or a redacted one.
func isPlaceholder(name string) bool {
	if strings.HasPrefix(name, "[Scrubbed due to ") {
		return true
	}
	if name = strings.TrimSpace(name); len(name) > len("[object object]") {
		return false
	}
	switch name = strings.ToLower(name); name {
	case "unknown", "not_set", "unset", "[redacted]", "[filtered]":
		return true
	}
	return isNone(name)
}

// unquoted removes the quotes from a text that was sent as a JSON string.
func unquoted(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	if inner := text[1 : len(text)-1]; !strings.ContainsAny(inner, `"\`) {
		return inner
	}
	return text
}

// model returns the model that was called. A failed call may name it only in its parameters.
func (s *span) model() string {
	name := s.attributes.name(execution.MaxName, modelNames...)
	if name == "" {
		name = s.attributes.name(execution.MaxName, "model")
	}
	if name == "" && s.attributes.text("genkit:metadata:subtype") != "" {
		name = s.attributes.name(execution.MaxName, "genkit:name")
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if name == "" && strings.HasPrefix(s.sent.GetName(), "haystack.") {
		name = toName(s.haystackModel(), execution.MaxName)
	}
	if name != "" {
		return name
	}
	return cmp.Or(s.hinted().model, toName(modelInName(s.sent.GetName()), execution.MaxName))
}

// allProviderNames are in order of precedence: the AI SDK's and LiteLLM's attributes are more specific.
var allProviderNames = append([]string{"ai.model.provider"}, append(slices.Clone(providerNames), "litellm.provider.model")...)

// provider returns the provider of the model.
func (s *span) provider() string {
	framework := ""
	for _, name := range allProviderNames {
		value := s.attributes.text(name)
		if name == "litellm.provider.model" {
			value, _, _ = strings.Cut(value, "/")
		}
		provider := providerOf(value)
		switch {
		case provider == "" || isPlaceholder(provider):
		case isFramework(provider):
			framework = cmp.Or(framework, provider)
		default:
			return toName(provider, execution.MaxProvider)
		}
	}
	if provider, _, found := strings.Cut(s.attributes.text("genkit:name"), "/"); found {
		return toName(providerOf(provider), execution.MaxProvider)
	}
	return toName(cmp.Or(providerOf(s.hinted().provider), framework, s.impliedProvider()), execution.MaxProvider)
}

// providerOf normalizes the name of a provider. Some instrumentations capitalize it; others append the interface, as in
// openai.chat. OpenTelemetry's own dotted names are kept.
func providerOf(value string) string {
	name := strings.ToLower(value)
	owner, _, dotted := strings.Cut(name, ".")
	switch {
	case !dotted:
	case owner == "aws", owner == "gcp", owner == "azure", owner == "az", owner == "ibm":
	default:
		name = owner
	}
	switch name {
	case "gemini", "google", "gcp.gen_ai", "google_genai", "googleai", "google-genai":
		return "gcp.gemini"
	}
	return name
}

// isFramework reports whether a name is that of a library that calls models of any provider.
func isFramework(provider string) bool {
	switch provider {
	case "strands-agents", "langgraph", "langchain", "spring_ai", "microsoft", "autogen", "crewai", "llama_index", "haystack", "litellm", "mlflow", "pydantic_ai", "agno", "dspy":
		return true
	}
	return false
}
