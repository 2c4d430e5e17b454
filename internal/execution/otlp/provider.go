package otlp

import (
	"strings"

	"github.com/watchbill/watchbill/internal/execution/prices"
)

// conventionalNames are OpenTelemetry's names of providers that differ from Watchbill's.
var conventionalNames = map[string]string{
	"bedrock": "aws.bedrock", "google": "gcp.gemini", "vertex": "gcp.vertex_ai", "azure": "azure.ai.openai", "mistral": "mistral_ai",
	"watsonx": "ibm.watsonx.ai", "xai": "x_ai",
}

// impliedProvider returns the provider that a span without a provider attribute implies: by the format of its messages,
// by the class in its name, as in OpenAIEmbedding.get_text_embedding, or by an instrumentation for a single provider.
func (s *span) impliedProvider() string {
	class, _, method := strings.Cut(s.sent.GetName(), ".")
	if !method && class != "OpenAI-generation" || strings.ContainsAny(class, " /:") || class == "" || class[0] < 'A' || class[0] > 'Z' {
		class = ""
	}
	scope := strings.TrimSuffix(s.scope, ".v1")
	if scope = scope[strings.LastIndexAny(scope, "./")+1:]; strings.HasPrefix(s.scope, "vllm") {
		scope = "vllm"
	}
	if strings.Contains(scope, "agent") || strings.Contains(scope, "adk") {
		scope = ""
	}
	for _, text := range []string{s.attributes.text("mlflow.message.format"), s.attributes.text(haystackType), class, scope} {
		if known := prices.KnownProvider(text); known != "" {
			if conventional := conventionalNames[known]; conventional != "" {
				return conventional
			}
			return known
		}
	}
	return ""
}
