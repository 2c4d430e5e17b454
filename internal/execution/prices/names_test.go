package prices_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution/prices"
)

// TestNamesOfHosts has models by the names of hosts, gateways and SDKs, each with the price of its host.
func TestNamesOfHosts(t *testing.T) {
	t.Parallel()
	p := prices.Default()
	for _, tt := range []struct{ provider, model, same, as string }{
		// Bedrock: profiles, ARNs, routes.
		{"aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "global.anthropic.claude-sonnet-4-5"},
		{"", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "us.anthropic.claude-sonnet-4-5"},
		{"", "bedrock/converse/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "us.anthropic.claude-sonnet-4-5"},
		{"", "bedrock/invoke/eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "eu.anthropic.claude-sonnet-4-5"},
		{"", "bedrock/us-east-1/anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "anthropic.claude-sonnet-4-5"},
		{"", "bedrock:apac.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "apac.anthropic.claude-sonnet-4-5"},
		{"aws.bedrock", "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/global.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "global.anthropic.claude-sonnet-4-5"},
		{"aws.bedrock", "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock", "us-gov.anthropic.claude-sonnet-4-5"},
		{"aws.bedrock", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "bedrock", "anthropic.claude-3-haiku"},
		{"aws.bedrock", "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0:300k", "bedrock", "amazon.nova-lite"},
		{"aws.bedrock", "amazon.nova-pro-v1:0:300k", "bedrock", "amazon.nova-pro"},
		{"aws.bedrock", "anthropic.claude-3-haiku-20240307-v1:0:200k", "bedrock", "anthropic.claude-3-haiku"},
		{"amazon-bedrock", "us.amazon.nova-micro-v1:0", "bedrock", "us.amazon.nova-micro"},
		{"bedrock_converse", "us.amazon.nova-micro-v1:0", "bedrock", "us.amazon.nova-micro"},
		{"aws.bedrock", "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdef123456", "", "none"},
		{"aws.bedrock", "arn:aws:bedrock:us-east-1:123456789012:prompt-router/anthropic.claude:1", "", "none"},
		{"aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0[1m]", "bedrock", "us.anthropic.claude-sonnet-4-5"},

		// Anthropic.
		{"anthropic", "claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5"},
		{"anthropic", "claude-sonnet-4-5[1m]", "anthropic", "claude-sonnet-4-5"},
		{"anthropic", "claude-4.5-sonnet", "anthropic", "claude-sonnet-4-5"},
		{"anthropic", "claude-4-5-sonnet-20250929", "anthropic", "claude-sonnet-4-5"},
		{"anthropic", "claude-opus-4-1-20250805", "anthropic", "claude-opus-4-1"},
		{"anthropic", "claude-opus-4-20250514", "anthropic", "claude-opus-4-0"},
		{"anthropic", "Claude-Sonnet-4-5", "anthropic", "claude-sonnet-4-5"},
		{"anthropic", " claude-sonnet-4-5\n", "anthropic", "claude-sonnet-4-5"},
		{"litellm", "anthropic/claude-sonnet-4-5-20250929", "anthropic", "claude-sonnet-4-5"},
		{"openai", "anthropic/claude-sonnet-4-5", "anthropic", "claude-sonnet-4-5"},
		{"", "anthropic.claude-sonnet-4-5", "bedrock", "anthropic.claude-sonnet-4-5"},
		{"databricks", "databricks-claude-sonnet-4-5", "databricks", "databricks-claude-sonnet-4-5"},

		// Vertex AI and Gemini.
		{"gcp.vertex_ai", "claude-sonnet-4-5@20250929", "vertex", "claude-sonnet-4-5"},
		{"gcp.vertex_ai", "claude-sonnet-4-5@default", "vertex", "claude-sonnet-4-5"},
		{"", "vertex_ai/claude-sonnet-4-5@20250929", "vertex", "claude-sonnet-4-5"},
		{"gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "vertex", "gemini-2.5-pro"},
		{"gcp.vertex_ai", "projects/p-1/locations/us-central1/publishers/google/models/gemini-2.5-flash", "vertex", "gemini-2.5-flash"},
		{"gcp.gemini", "models/gemini-2.5-flash-001", "google", "gemini-2.5-flash"},
		{"gcp.gemini", "gemini-2.5-flash-preview-09-2025", "google", "gemini-2.5-flash"},
		{"gcp.gemini", "gemini-2.5-pro-exp-03-25", "google", "gemini-2.5-pro"},
		{"gcp.gemini", "gemini-2.5-flash-lite-preview-06-17", "google", "gemini-2.5-flash-lite"},
		{"google-gla", "gemini-2.5-pro", "google", "gemini-2.5-pro"},
		{"", "google_genai:gemini-2.5-pro", "google", "gemini-2.5-pro"},
		{"", "googleai/gemini-2.5-pro", "google", "gemini-2.5-pro"},
		{"", "vertexai/gemini-2.5-pro", "vertex", "gemini-2.5-pro"},
		{"", "google/gemini-2.5-pro", "google", "gemini-2.5-pro"},
		{"", "gemini/gemini-2.5-pro", "google", "gemini-2.5-pro"},
		{"openai", "google/gemini-2.5-pro", "google", "gemini-2.5-pro"},
		{"gcp.vertex_ai", "projects/123/locations/us-central1/endpoints/4567890123", "", "none"},
		{"gcp.gemini", "tunedModels/my-model-abc123", "", "none"},

		// OpenAI and Azure.
		{"openai", "gpt-4o-2024-11-20", "openai", "gpt-4o"},
		{"azure.ai.openai", "gpt-4o-2024-11-20", "azure", "gpt-4o"},
		{"", "azure/gpt-4o-mini", "azure", "gpt-4o-mini"},
		{"", "azure/eu/gpt-4o-mini", "azure", "azure/eu/gpt-4o-mini"},
		{"", "azure_ai/gpt-4.1", "azure", "gpt-4.1"},
		{"azure.ai.openai", "gpt-35-turbo", "azure", "gpt-3.5-turbo"},
		{"azure.ai.openai", "my-gpt4-deployment", "", "none"},
		{"openai", "openai/gpt-4o-mini", "openai", "gpt-4o-mini"},
		{"", "openai/responses/gpt-4o-mini", "openai", "gpt-4o-mini"},
		{"", "responses/gpt-4o-mini", "openai", "gpt-4o-mini"},
		{"", "openai/openai/gpt-4o-mini", "openai", "gpt-4o-mini"},
		{"", "litellm_proxy/gpt-4o-mini", "openai", "gpt-4o-mini"},
		{"", "litellm_proxy/openai/gpt-4o-mini", "openai", "gpt-4o-mini"},
		{"", "text-completion-openai/gpt-3.5-turbo-instruct", "openai", "gpt-3.5-turbo-instruct"},
		{"openai", "ft:gpt-4o-2024-08-06:acme:clerk:abc123", "openai", "ft:gpt-4o-2024-08-06"},
		{"openai", "ft:gpt-4o-mini-2024-07-18:acme:clerk:abc123:ckpt-step-200", "openai", "ft:gpt-4o-mini-2024-07-18"},
		{"openai", "gpt-4o-mini:ft-acme-2024-07-18", "", "none"},
		{"openai", "gpt-5-2025-08-07-high", "openai", "gpt-5"},
		{"openai", "gpt-5-high-2025-08-07", "openai", "gpt-5"},
		{"openai", "o3-2025-04-16", "openai", "o3"},
		{"openai", "gpt-5-nano-2025-08-07", "openai", "gpt-5-nano"},
		{"openai", "gpt-4o-mini-turbo", "", "none"},
		{"openai", "gpt-5-nano-plus", "", "none"},

		// Routers.
		{"openrouter", "anthropic/claude-sonnet-4.5", "openrouter", "anthropic/claude-sonnet-4.5"},
		{"openrouter", "anthropic/claude-4.5-sonnet-20250929", "openrouter", "anthropic/claude-sonnet-4.5"},
		{"openrouter", "openai/gpt-4o:nitro", "openrouter", "openai/gpt-4o"},
		{"openrouter", "openai/gpt-4o:floor", "openrouter", "openai/gpt-4o"},
		{"openrouter", "openai/gpt-4o:exacto", "openrouter", "openai/gpt-4o"},
		{"openrouter", "anthropic/claude-3.7-sonnet:thinking", "openrouter", "anthropic/claude-3.7-sonnet"},
		{"openai", "openrouter/openai/gpt-4o:online", "openrouter", "openai/gpt-4o"},
		{"openrouter", "deepseek/deepseek-r1-0528:free", "", "0/0"},
		{"openrouter", "openrouter/auto", "", "none"},
		{"vercel", "anthropic/claude-sonnet-4.5", "vercel", "anthropic/claude-sonnet-4.5"},
		{"gateway", "openai/gpt-4o", "openai", "gpt-4o"},
		{"", "requesty/openai/gpt-4o", "openai", "gpt-4o"},
		{"huggingface", "openai/gpt-oss-120b:groq", "groq", "openai/gpt-oss-120b"},
		{"huggingface", "openai/gpt-oss-120b", "", "none"},
		{"huggingface", "openai/gpt-oss-120b:together", "together", "openai/gpt-oss-120b"},
		{"openai", "openai/gpt-oss-120b:cerebras", "cerebras", "gpt-oss-120b"},
		{"huggingface", "openai/gpt-oss-120b:fireworks-ai", "fireworks", "gpt-oss-120b"},
		{"huggingface", "openai/gpt-oss-120b:cheapest", "", "none"},
		{"", "huggingface/together/openai/gpt-oss-120b", "together", "openai/gpt-oss-120b"},

		// Self-hosted.
		{"ollama", "llama3:8b-instruct-q4_K_M", "", "0/0"},
		{"", "ollama/llama3:8b-instruct-q4_K_M", "", "0/0"},
		{"", "ollama_chat/qwen2.5-coder:32b", "", "0/0"},
		{"", "hosted_vllm/meta-llama/Llama-3.1-8B-Instruct", "", "0/0"},
		{"", "lm_studio/qwen/qwen3-8b", "", "0/0"},
		{"ollama", "gpt-oss:120b", "", "0/0"},
		{"llama.cpp", "qwen3-8b.Q4_K_M.gguf", "", "0/0"},

		// Others.
		{"groq", "groq/llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile"},
		{"groq", "meta-llama/llama-4-scout-17b-16e-instruct", "groq", "llama-4-scout-17b-16e-instruct"},
		{"together_ai", "together_ai/deepseek-ai/DeepSeek-V4-Flash", "together", "deepseek-ai/DeepSeek-V4-Flash"},
		{"fireworks_ai", "accounts/fireworks/models/gpt-oss-120b", "fireworks", "gpt-oss-120b"},
		{"", "fireworks_ai/accounts/fireworks/models/gpt-oss-120b", "fireworks", "gpt-oss-120b"},
		{"fireworks", "accounts/acme/models/my-tuned-model", "", "none"},
		{"fireworks", "accounts/fireworks/models/gpt-oss-120b#accounts/acme/deployments/abc", "", "none"},
		{"xai", "grok-4-0709", "xai", "grok-4"},
		{"xai", "xai/grok-4-latest", "xai", "grok-4"},
		{"", "x-ai/grok-4", "xai", "grok-4"},
		{"mistral_ai", "mistral-large-2512", "mistral", "mistral-large-latest"},
		{"", "mistral/mistral-small-latest", "mistral", "mistral-small-latest"},
		{"mistral", "ft:open-mistral-7b:acme:20240512:abc", "", "none"},
		{"cohere", "command-r-plus-08-2024", "cohere", "command-r-plus"},
		{"", "cohere_chat/command-a-03-2025", "cohere", "command-a-03-2025"},
		{"deepseek", "deepseek/deepseek-v4-pro", "deepseek", "deepseek-v4-pro"},
		{"perplexity", "perplexity/sonar-pro", "perplexity", "sonar-pro"},
		{"cerebras", "cerebras/gpt-oss-120b", "cerebras", "gpt-oss-120b"},
		{"watsonx", "watsonx/ibm/granite-3-8b-instruct", "", "none"},
		{"", "dashscope/qwen-max", "alibaba", "qwen-max"},
		{"", "moonshot/kimi-k2.5", "moonshot", "kimi-k2.5"},
	} {
		at := moment(t, monday)
		got := shown(p, prices.Query{Provider: tt.provider, Model: tt.model, At: at})
		want := tt.as
		if tt.same != "" {
			if want = shown(p, prices.Query{Provider: tt.same, Model: tt.as, At: at}); want == "none" {
				t.Errorf("%s at %s has no price itself", tt.as, tt.same)
			}
		}
		if got != want {
			t.Errorf("%q of %q costs %s, want %s as %s of %q", tt.model, tt.provider, got, want, tt.as, tt.same)
		}
	}
}
