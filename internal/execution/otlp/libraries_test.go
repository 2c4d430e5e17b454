package otlp_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestCountsOfLibraries checks how libraries report one call's usage, according to their source code. The same usage
// must give the same counts.
func TestCountsOfLibraries(t *testing.T) {
	t.Parallel()
	openai := execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120}
	anthropic := execution.Tokens{Input: 110, Output: 20, CacheRead: 40, CacheWrite: 10, Used: 130}
	written := execution.Tokens{Input: 100, Output: 20, CacheRead: 40, CacheWrite: 10, Reasoning: 5, Used: 120}
	grok := says{"gen_ai.provider.name": "xai", "gen_ai.request.model": "grok-4"}
	gemini := says{"gen_ai.provider.name": "gcp.gemini", "gen_ai.request.model": "gemini-2.5-flash"}
	claude := says{"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-sonnet-4-5"}
	bedrock := says{"gen_ai.provider.name": "aws.bedrock", "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}
	for name, tt := range map[string]struct {
		scope   string
		says    says
		tokens  execution.Tokens
		billing execution.Billing
		cost    int64
	}{
		"xai-sdk": {
			scope: "xai_sdk.sync.chat",
			says: grok.with(says{
				"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15, "gen_ai.usage.total_tokens": 120, "gen_ai.usage.reasoning_tokens": 5,
				"gen_ai.usage.cached_prompt_text_tokens": 40, "gen_ai.usage.prompt_text_tokens": 70, "gen_ai.usage.prompt_image_tokens": 30, "gen_ai.usage.cost_in_usd_ticks": 4_000_000,
			}),
			tokens: openai, billing: execution.Billing{ImageInput: 30}, cost: 400_000,
		},
		"LiveKit": {
			says: says{
				"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.input_cached_tokens": 40,
				"gen_ai.usage.reasoning.output_tokens": 5, "gen_ai.usage.reasoning_tokens": 5,
			},
			tokens: openai,
		},
		"LiveKit, realtime": {
			says: says{
				"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.input_cached_tokens": 40,
				"gen_ai.usage.text.input_tokens": 70, "gen_ai.usage.audio.input_tokens": 30, "gen_ai.usage.image.input_tokens": 0, "gen_ai.usage.text.output_tokens": 8,
				"gen_ai.usage.audio.output_tokens": 12, "gen_ai.usage.text.cache_read.input_tokens": 30, "gen_ai.usage.audio.cache_read.input_tokens": 10,
				"gen_ai.usage.input_text_tokens": 70, "gen_ai.usage.input_audio_tokens": 30, "gen_ai.usage.output_text_tokens": 8, "gen_ai.usage.output_audio_tokens": 12,
			},
			tokens:  execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Used: 120},
			billing: execution.Billing{AudioInput: 30, AudioOutput: 12, AudioCacheRead: 10},
		},
		"Upsonic": {
			says: claude.with(says{
				"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20, "upsonic.usage.total_tokens": 130, "upsonic.usage.requests": 1,
				"upsonic.usage.cache_write_tokens": 10, "upsonic.usage.cache_read_tokens": 40, "upsonic.total_cost": 0.0004,
			}),
			tokens: anthropic, cost: 400_000,
		},
		"Traceloop, Bedrock's Converse": {
			scope: "opentelemetry.instrumentation.bedrock",
			says: bedrock.with(says{
				"gen_ai.usage.input_tokens": 60, "gen_ai.usage.output_tokens": 20, "llm.usage.total_tokens": 80,
				"gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_creation.input_tokens": 10,
			}),
			tokens: anthropic,
		},
		"Traceloop, Gemini": {
			scope: "opentelemetry.instrumentation.google_generativeai",
			says: gemini.with(says{
				"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15, "llm.usage.total_tokens": 120, "gen_ai.usage.cache_read.input_tokens": 40,
			}),
			tokens: openai,
		},
		"OpenInference, Bedrock's Converse": {
			scope: "openinference.instrumentation.bedrock",
			says: says{
				"llm.provider": "aws", "llm.model_name": "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "llm.token_count.prompt": 110, "llm.token_count.completion": 20,
				"llm.token_count.total": 130, "llm.token_count.prompt_details.cache_read": 40, "llm.token_count.prompt_details.cache_write": 10,
			},
			tokens: anthropic,
		},
		"OpenInference, ADK": {
			scope: "openinference.instrumentation.google_adk",
			says: gemini.with(says{
				"llm.token_count.prompt": 100, "llm.token_count.completion": 20, "llm.token_count.completion_details.reasoning": 5, "llm.token_count.total": 120,
				"output.value": `{"content":{"parts":[{"text":"Mild."}],"role":"model"},"usage_metadata":{"cached_content_token_count":40,"candidates_token_count":15,"prompt_token_count":100,"thoughts_token_count":5,"total_token_count":120}}`,
			}),
			tokens: openai,
		},
		"MLflow, Gemini": {
			says:   gemini.with(says{"mlflow.chat.tokenUsage": `{"input_tokens": 100, "output_tokens": 15, "total_tokens": 120, "cache_read_input_tokens": 40}`}),
			tokens: openai,
		},
		"MLflow, Anthropic": {
			says:   claude.with(says{"mlflow.chat.tokenUsage": `{"input_tokens": 110, "output_tokens": 20, "total_tokens": 130, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10, "cache_creation_input_tokens_above_1hr": 6}`, "mlflow.llm.cost": `{"input_cost": 0.0001, "output_cost": 0.0003, "total_cost": 0.0004}`}),
			tokens: anthropic, billing: execution.Billing{CacheWrite1h: 6}, cost: 400_000,
		},
		"Langfuse, LangChain's Anthropic": {
			says:   claude.with(says{"langfuse.observation.usage_details": `{"input":60,"output":20,"total":130,"input_cache_read":40,"input_cache_creation":0,"input_ephemeral_5m_input_tokens":4,"input_ephemeral_1h_input_tokens":6}`}),
			tokens: anthropic, billing: execution.Billing{CacheWrite1h: 6},
		},
		"Langfuse, LangChain's Anthropic without a total": {
			says:   claude.with(says{"langfuse.observation.usage_details": `{"input":60,"output":20,"input_cache_read":40,"input_cache_creation":10}`}),
			tokens: anthropic,
		},
		"Langfuse, LangChain's Anthropic with thinking": {
			says:   claude.with(says{"langfuse.observation.usage_details": `{"input":60,"output":15,"total":120,"input_cache_read":40,"input_cache_creation":0,"output_reasoning":5}`}),
			tokens: openai,
		},
		"Langfuse, LangChain's OpenAI, not urgent": {
			says:   says{"langfuse.observation.usage_details": `{"input":0,"output":0,"total":120,"input_flex_cache_read":40,"input_flex":60,"output_flex_reasoning":5,"output_flex":15}`},
			tokens: openai, billing: execution.Billing{ServiceTier: "flex"},
		},
		"Langfuse, LangChain's OpenAI, urgent": {
			says:   says{"langfuse.observation.usage_details": `{"input":100,"output":20,"total":120,"input_priority_cache_read":40,"input_priority":60,"output_priority_reasoning":5,"output_priority":15}`},
			tokens: openai, billing: execution.Billing{ServiceTier: "priority"},
		},
		"Langfuse, LangChain's OpenAI, not urgent, writing to a cache": { // findings/langfuse-langchain-counts-tiers-twice.sh
			says:   says{"langfuse.observation.usage_details": `{"input":0,"output":0,"total":120,"input_flex_cache_creation":10,"input_flex_cache_read":40,"input_flex":60,"output_flex_reasoning":5,"output_flex":15}`},
			tokens: written, billing: execution.Billing{ServiceTier: "flex"},
		},
		"Langfuse, LangChain's OpenAI, urgent, writing to a cache": {
			says:   says{"langfuse.observation.usage_details": `{"input":100,"output":20,"total":120,"input_priority_cache_creation":10,"input_priority_cache_read":40,"input_priority":60,"output_priority_reasoning":5,"output_priority":15}`},
			tokens: written, billing: execution.Billing{ServiceTier: "priority"},
		},
		"LangChain, OpenAI, not urgent, writing to a cache": { // findings/langchain-openai-tiers-rename-counts.sh
			says:   says{"langsmith.usage_metadata": `{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_token_details":{"flex_cache_creation":10,"flex_cache_read":40,"flex":60},"output_token_details":{"flex_reasoning":5,"flex":15}}`},
			tokens: written, billing: execution.Billing{ServiceTier: "flex"},
		},
		"Langfuse, Vertex AI by kinds": {
			says:   gemini.with(says{"langfuse.observation.usage_details": `{"input":0,"output":0,"total":120,"input_modality_TEXT":30,"input_modality_AUDIO":30,"cached_modality_TEXT":40,"output_modality_TEXT":20}`}),
			tokens: execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Used: 120}, billing: execution.Billing{AudioInput: 30},
		},
		"LangChain, OpenAI, not urgent": {
			says:   says{"langsmith.usage_metadata": `{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_token_details":{"flex_cache_read":40,"flex":60},"output_token_details":{"flex_reasoning":5,"flex":15}}`},
			tokens: openai, billing: execution.Billing{ServiceTier: "flex"},
		},
		"LangChain, OpenAI, urgent, in details": {
			says: says{
				"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.total_tokens": 120,
				"gen_ai.usage.input_token_details": `{"priority_cache_read":40,"priority":60}`, "gen_ai.usage.output_token_details": `{"priority_reasoning":5,"priority":15}`,
			},
			tokens: openai, billing: execution.Billing{ServiceTier: "priority"},
		},
		"LangChain, Anthropic": {
			says:   claude.with(says{"langsmith.usage_metadata": `{"input_tokens":110,"output_tokens":20,"total_tokens":130,"input_token_details":{"cache_read":40,"cache_creation":0,"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6}}`}),
			tokens: anthropic, billing: execution.Billing{CacheWrite1h: 6},
		},
		"Strands": {
			says: bedrock.with(says{
				"gen_ai.usage.prompt_tokens": 110, "gen_ai.usage.input_tokens": 110, "gen_ai.usage.completion_tokens": 20, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.total_tokens": 130,
				"gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_creation.input_tokens": 10, "gen_ai.usage.cache_write_input_tokens": 10,
			}),
			tokens: anthropic,
		},
		"ADK": {
			scope: "gcp.vertex.agent",
			says: gemini.with(says{
				"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.reasoning.output_tokens": 5,
				"gen_ai.usage.experimental.system_instruction_tokens": 12, "gen_ai.usage.experimental.reasoning_tokens_limit": 1024,
			}),
			tokens: openai,
		},
		"the AI SDK's provider, version 3": {
			scope: "ai",
			says: claude.with(says{
				"acme.usage": `{"inputTokens":{"total":110,"noCache":60,"cacheRead":40,"cacheWrite":10},"outputTokens":{"total":20,"text":20},"raw":{"input_tokens":60,"cache_creation_input_tokens":10,"cache_read_input_tokens":40,"output_tokens":20}}`,
			}),
			tokens: anthropic,
		},
		"the AI SDK by Vercel's gateway": {
			scope: "ai",
			says: says{
				"ai.model.provider": "gateway", "ai.model.id": "openai/gpt-5", "ai.usage.inputTokens": 100, "ai.usage.outputTokens": 20, "ai.usage.totalTokens": 120,
				"ai.usage.cachedInputTokens": 40, "ai.usage.reasoningTokens": 5, "ai.response.providerMetadata": `{"gateway":{"routing":{"finalProvider":"openai"},"cost":"0.0004","generationId":"gen_01"}}`,
			},
			tokens: openai, cost: 400_000,
		},
		"DSPy":        {says: says{"mlflow.spanOutputs": `{"usage":{"openai/gpt-5":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}}}`}, tokens: openai},
		"CrewAI":      {says: says{"crewai.usage_metrics": `UsageMetrics(total_tokens=120, prompt_tokens=100, cached_prompt_tokens=40, completion_tokens=20, reasoning_tokens=5, successful_requests=1)`}, tokens: openai},
		"AutoGen":     {says: says{"autogen.models_usage": `RequestUsage(prompt_tokens=100, completion_tokens=20)`}, tokens: execution.Tokens{Input: 100, Output: 20, Used: 120}},
		"smolagents":  {says: says{"smolagents.token_usage": `TokenUsage(input_tokens=100, output_tokens=20, total_tokens=120)`}, tokens: execution.Tokens{Input: 100, Output: 20, Used: 120}},
		"Agno":        {says: claude.with(says{"agno.usage_metrics": `{"input_tokens":110,"output_tokens":20,"total_tokens":130,"audio_total_tokens":0,"cache_read_tokens":40,"cache_write_tokens":10,"time_to_first_token":0.4,"duration":1.2}`}), tokens: anthropic},
		"Genkit":      {says: gemini.with(says{"genkit:metadata:subtype": "model", "genkit:output": `{"usage":{"inputTokens":100,"outputTokens":15,"totalTokens":120,"inputCharacters":400,"outputCharacters":90,"inputImages":2,"inputAudioFiles":1,"thoughtsTokens":5,"cachedContentTokens":40}}`}), tokens: openai},
		"Datadog":     {says: says{"openai.cached_input_tokens": 40, "openai.reasoning_tokens": 5, "_ml_obs.metrics.input_tokens": 100, "_ml_obs.metrics.output_tokens": 20, "_ml_obs.metrics.total_tokens": 120}, tokens: openai},
		"embeddings":  {says: says{"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "acme-vectors", "llm.usage.total_tokens": 8}, tokens: execution.Tokens{Input: 8, Used: 8}},
		"a reranking": {says: says{"gen_ai.operation.name": "rerank", "gen_ai.request.model": "acme-order", "gen_ai.usage.total_tokens": 8}, tokens: execution.Tokens{Input: 8, Used: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			export := exportOf(newSpan(1, 0, chat.with(tt.says)))
			export.ResourceSpans[0].ScopeSpans[0].Scope.Name = tt.scope
			batch, partial := translated(t, export)
			if len(batch.Executions) != 1 {
				t.Fatal(partial.GetErrorMessage())
			}
			e := batch.Executions[0]
			if diff := cmp.Diff(tt.tokens, e.Tokens); diff != "" {
				t.Errorf("tokens (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.billing, e.Billing, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Region" }, cmp.Ignore())); diff != "" {
				t.Errorf("billing (-want +got):\n%s", diff)
			}
			var cost int64
			if e.ProviderCost != nil {
				cost = *e.ProviderCost
			}
			if cost != tt.cost {
				t.Errorf("the provider charges %d nano-USD, want %d", cost, tt.cost)
			}
		})
	}
}
