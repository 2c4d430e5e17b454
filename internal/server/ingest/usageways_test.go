package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
)

// accounted is the recorded usage of a call.
type accounted struct {
	Tokens  execution.Tokens
	Billing execution.Billing
	Usage   execution.Usage
	Cost    *int64
}

func accountOf(e execution.Execution) accounted {
	return accounted{e.Tokens, e.Billing, e.Usage, e.ProviderCost}
}

// way records a call through one of the APIs that accept usage.
type way func(t *testing.T, c usageCase) execution.Execution

type usageCase struct {
	provider, model, scope string
	object                 string         // the provider's usage object, sent through every API
	attributes             map[string]any // of a span; nil to send only the object
	own                    map[string]any // fields of an execution over REST; nil to send the object
	want                   accounted
}

// The same usage is recorded the same through every API.
func TestUsageIsTheSameThroughEveryAPI(t *testing.T) {
	t.Parallel()
	reported := func(tokens execution.Tokens) accounted {
		return accounted{Tokens: tokens, Usage: execution.UsageReported}
	}
	openai := reported(execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120})
	anthropic := reported(execution.Tokens{Input: 110, Output: 20, CacheRead: 40, CacheWrite: 10, Used: 130})
	written := reported(execution.Tokens{Input: 57660, Output: 631, CacheRead: 35574, CacheWrite: 17787, Used: 58291})
	type attributes = map[string]any
	for name, c := range map[string]usageCase{
		"OpenAI's": {
			provider: "openai", model: "gpt-4o",
			object:     `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.reasoning.output_tokens": 5},
			own:        attributes{"input_tokens": 100.0, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "tokens_used": 120},
			want:       openai,
		},
		"OpenAI's responses": {
			provider: "openai", model: "gpt-4o",
			object:     `{"input_tokens":100,"input_tokens_details":{"cached_tokens":40},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":120}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.input_token_details": `{"cache_read":40}`, "gen_ai.usage.output_token_details": `{"reasoning":5}`},
			want:       openai,
		},
		"Anthropic's": {
			provider: "anthropic", model: "claude-sonnet-4-5", scope: "openlit.instrumentation.anthropic",
			object:     `{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20,"service_tier":"standard"}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 60, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_creation.input_tokens": 10, "gen_ai.usage.cost": 0},
			want:       anthropic,
		},
		"Anthropic's, put together by the AI SDK": {
			provider: "anthropic", model: "claude-sonnet-4-5", scope: "ai",
			object:     `{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20}`,
			attributes: attributes{"ai.usage.inputTokens": 60, "ai.usage.outputTokens": 20, "ai.usage.totalTokens": 80, "ai.response.providerMetadata": `{"anthropic":{"usage":{"input_tokens":60,"cache_creation_input_tokens":10,"cache_read_input_tokens":40,"output_tokens":20},"container":null}}`},
			want:       anthropic,
		},
		"Anthropic's, without the provider's answer": {
			provider: "anthropic.messages", model: "claude-sonnet-4-5", scope: "ai",
			object:     `{"inputTokens":60,"outputTokens":20,"cacheReadInputTokens":40,"cacheWriteInputTokens":10}`,
			attributes: attributes{"ai.usage.inputTokens": 60, "ai.usage.outputTokens": 20, "ai.usage.totalTokens": 80, "ai.usage.cachedInputTokens": 40, "ai.usage.cacheWriteTokens": 10},
			want:       anthropic,
		},
		"Bedrock's": {
			provider: "aws.bedrock", model: "claude-sonnet-4-5", scope: "opentelemetry.instrumentation.botocore.bedrock-runtime",
			object:     `{"inputTokens":60,"outputTokens":20,"totalTokens":130,"cacheReadInputTokens":40,"cacheWriteInputTokens":10}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 60, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_write.input_tokens": 10},
			want:       anthropic,
		},
		"Spring AI's of Anthropic": {
			provider: "anthropic", model: "claude-sonnet-4-5", scope: "org.springframework.boot",
			object:     `{"input_tokens":60,"output_tokens":20,"cache_read_input_tokens":40,"cache_creation_input_tokens":10}`,
			attributes: attributes{"gen_ai.usage.input_tokens": "60", "gen_ai.usage.output_tokens": "20", "gen_ai.usage.total_tokens": "80", "gen_ai.usage.cache_read.input_tokens": "40", "gen_ai.usage.cache_creation.input_tokens": "10"},
			want:       anthropic,
		},
		"Anthropic's with the cache in the input": {
			provider: "anthropic", model: "claude-sonnet-4-5", scope: "com.anthropic.sdk.python",
			object:     `{"prompt_tokens":110,"completion_tokens":20,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":10}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_write.input_tokens": 10, "gen_ai.usage.cache_write_input_tokens": 10, "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 10},
			own:        attributes{"input_tokens": 110, "output_tokens": 20, "cache_read_tokens": 40, "cache_write_tokens": 10},
			want:       anthropic,
		},
		"Gemini's": {
			provider: "google", model: "gemini-2.5-flash",
			object:     `{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120,"promptTokensDetails":[{"modality":"TEXT","tokenCount":100}]}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15, "gen_ai.usage.total_tokens": 120, "gen_ai.usage.cache_read.input_tokens": 40},
			own:        attributes{"input_tokens": 100, "output_tokens": 15, "cache_read_tokens": 40, "tokens_used": 120},
			want:       openai,
		},
		"Gemini's with the thinking in the output": {
			provider: "google", model: "gemini-2.5-flash",
			object:     `{"input_tokens":100,"output_tokens":20,"total_tokens":120,"cache_read_tokens":40,"details":{"thoughts_tokens":5,"text_prompt_tokens":100}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.details.thoughts_tokens": 5, "gen_ai.usage.details.cached_content_tokens": 40},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5},
			want:       openai,
		},
		"Gemini's with the thinking in the output, as its text shows": {
			provider: "google", model: "gemini-2.5-flash",
			object:     `{"prompt_tokens":100,"output_tokens":20,"cached_content_tokens":40,"thoughts_tokens":5,"text_candidates_tokens":15}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cached_content_tokens": 40, "gen_ai.usage.thoughts_tokens": 5, "gen_ai.usage.text_candidates_tokens": 15},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5},
			want:       openai,
		},
		"Gemini's with the thinking beside the output, as its text shows": {
			provider: "google", model: "gemini-2.5-flash",
			object:     `{"prompt_tokens":100,"output_tokens":15,"cached_content_tokens":40,"details":{"thoughts_tokens":5,"text_candidates_tokens":15}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.details.thoughts_tokens": 5, "gen_ai.usage.details.text_candidates_tokens": 15},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5},
			want:       openai,
		},
		"thinking only in the total": {
			provider: "google", model: "gemini-2.5-pro",
			object:     `{"prompt_tokens":10,"completion_tokens":150,"total_tokens":8160}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 150, "gen_ai.usage.total_tokens": 8160},
			own:        attributes{"input_tokens": 10, "output_tokens": 150, "tokens_used": 8160},
			want:       reported(execution.Tokens{Input: 10, Output: 8150, Reasoning: 8000, Used: 8160}),
		},
		"a total that nobody can explain": {
			provider: "acme", model: "acme-1",
			object:     `{"prompt_tokens":10,"completion_tokens":150,"total_tokens":8160}`,
			attributes: attributes{"llm.token_count.prompt": 10, "llm.token_count.completion": 150, "llm.token_count.total": 8160},
			own:        attributes{"input_tokens": 10, "output_tokens": 150, "tokens_used": 8160},
			want:       reported(execution.Tokens{Input: 10, Output: 150, Used: 8160}),
		},
		"a total that has the cache beside the input": {
			provider: "acme", model: "acme-1",
			object:     `{"input_tokens":20000,"output_tokens":500,"total_tokens":35500,"cache_read_input_tokens":15000}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 20000, "gen_ai.usage.output_tokens": 500, "gen_ai.usage.total_tokens": 35500, "gen_ai.usage.cache_read.input_tokens": 15000},
			own:        attributes{"input_tokens": 20000, "output_tokens": 500, "tokens_used": 35500, "cache_read_tokens": 15000},
			want:       reported(execution.Tokens{Input: 35000, Output: 500, CacheRead: 15000, Used: 35500}),
		},
		"a total that has the reasoning beside the output": {
			provider: "acme", model: "acme-1",
			object:     `{"input_tokens":10,"output_tokens":1500,"total_tokens":2310,"reasoning_tokens":800}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1500, "gen_ai.usage.total_tokens": 2310, "gen_ai.usage.reasoning_tokens": 800},
			own:        attributes{"input_tokens": 10, "output_tokens": 1500, "tokens_used": 2310, "reasoning_tokens": 800},
			want:       reported(execution.Tokens{Input: 10, Output: 2300, Reasoning: 800, Used: 2310}),
		},
		"a total and the input": {
			provider: "acme", model: "acme-1",
			object:     `{"prompt_tokens":10,"total_tokens":25}`,
			attributes: attributes{"gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.total_tokens": 25},
			own:        attributes{"input_tokens": 10, "tokens_used": 25},
			want:       reported(execution.Tokens{Input: 10, Output: 15, Used: 25}),
		},
		"what was written to the cache, in Strands' words": {
			provider: "strands-agents", model: "claude-sonnet-4-5",
			object: `{"inputTokens":4299,"outputTokens":631,"totalTokens":58291,"cacheReadInputTokens":35574,"cacheWriteInputTokens":17787}`,
			attributes: attributes{
				"gen_ai.usage.input_tokens": 4299, "gen_ai.usage.prompt_tokens": 4299, "gen_ai.usage.output_tokens": 631, "gen_ai.usage.completion_tokens": 631, "gen_ai.usage.total_tokens": 58291,
				"gen_ai.usage.cache_read_input_tokens": 35574, "gen_ai.usage.cache_write_input_tokens": 17787,
			},
			want: written,
		},
		"what was written to the cache, as OpenRouter tells it": {
			provider: "openrouter", model: "claude-sonnet-4-5",
			object:     `{"prompt_tokens":57660,"completion_tokens":631,"total_tokens":58291,"prompt_tokens_details":{"cached_tokens":35574,"cache_write_tokens":17787},"cost":0.109709,"is_byok":false,"cost_details":{"upstream_inference_cost":null}}`,
			attributes: attributes{"llm.token_count.prompt": 57660, "llm.token_count.completion": 631, "llm.token_count.prompt_details.cache_input": 35574, "llm.token_count.prompt_details.cache_write": 17787, "llm.cost.total": 0.109709},
			own:        attributes{"input_tokens": 57660, "output_tokens": 631, "cache_read_tokens": 35574, "cache_write_tokens": 17787, "provider_cost_usd": 0.109709},
			want:       accounted{Tokens: written.Tokens, Usage: execution.UsageReported, Cost: new(int64(109709000))},
		},
		"DeepSeek's": {
			provider: "deepseek", model: "deepseek-chat",
			object:     `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":40,"prompt_cache_miss_tokens":60,"completion_tokens_details":{"reasoning_tokens":5}}`,
			attributes: attributes{"acme.usage.prompt_tokens": 100, "acme.usage.completion_tokens": 20, "acme.usage.prompt_cache_hit_tokens": 40, "acme.usage.prompt_cache_miss_tokens": 60, "acme.usage.reasoning_tokens": 5},
			want:       openai,
		},
		"in Python's notation": {
			provider: "openai", model: "gpt-4o",
			object:     `{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.cost.total_cost": 0.0004, "metadata.usage_object": `{'completion_tokens': 20, 'prompt_tokens': 100, 'completion_tokens_details': {'reasoning_tokens': 5, 'audio_tokens': None}, 'prompt_tokens_details': {'cached_tokens': 40}, 'cost': 0.0004}`},
			own:        attributes{"usage": json.RawMessage(`{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5},"cost":0.0004}`)},
			want:       accounted{Tokens: openai.Tokens, Usage: execution.UsageReported, Cost: new(int64(400_000))},
		},
		"what is kept for an hour, in batches, in Europe": {
			provider: "anthropic", model: "claude-sonnet-4-5", scope: "com.anthropic.sdk.python",
			object:     `{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"service_tier":"batch","inference_geo":"eu"}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_write.input_tokens": 10, "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 6, "anthropic.response.service_tier": "batch", "anthropic.region": "eu", "llm.region": "EU"},
			own:        attributes{"input_tokens": 110, "output_tokens": 20, "cache_read_tokens": 40, "cache_write_tokens": 10, "cache_write_1h_tokens": 6, "service_tier": "Batch", "region": "eu"},
			want:       accounted{Tokens: anthropic.Tokens, Usage: execution.UsageReported, Billing: execution.Billing{ServiceTier: "batch", Region: "eu", CacheWrite1h: 6}},
		},
		"audio": {
			provider: "openai", model: "gpt-audio",
			object:     `{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"audio_tokens":30},"completion_tokens_details":{"audio_tokens":40}}`,
			attributes: attributes{"llm.token_count.prompt": 100, "llm.token_count.completion": 50, "llm.token_count.prompt_details.audio": 30, "llm.token_count.completion_details.audio": 40},
			own:        attributes{"input_tokens": 100, "output_tokens": 50, "audio_input_tokens": 30, "audio_output_tokens": 40},
			want:       accounted{Tokens: execution.Tokens{Input: 100, Output: 50, Used: 150}, Usage: execution.UsageReported, Billing: execution.Billing{AudioInput: 30, AudioOutput: 40}},
		},
		"what compacting a conversation used": {
			provider: "anthropic", model: "claude-sonnet-4-5", scope: "com.anthropic.sdk.python",
			object:     `{"input_tokens":23000,"output_tokens":1000,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500},{"type":"message","input_tokens":23000,"output_tokens":1000}]}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 23000, "gen_ai.usage.output_tokens": 1000, "gen_ai.usage.raw": `{"input_tokens":23000,"output_tokens":1000,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500},{"type":"message","input_tokens":23000,"output_tokens":1000}]}`},
			own:        attributes{"input_tokens": 203000, "output_tokens": 4500},
			want:       reported(execution.Tokens{Input: 203000, Output: 4500, Used: 207500}),
		},
		"an embedding's total": {
			provider: "voyage", model: "voyage-3.5", object: `{"total_tokens":8}`, attributes: attributes{"gen_ai.operation.name": "embeddings", "llm.usage.total_tokens": 8},
			own: attributes{"tokens_used": 8}, want: reported(execution.Tokens{Input: 8, Used: 8}),
		},
		"what was not urgent, in LangChain's words": {
			provider: "openai", model: "gpt-5",
			object:     `{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_token_details":{"flex_cache_read":40,"flex":60},"output_token_details":{"flex_reasoning":5,"flex":15}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.input_token_details": `{"flex_cache_read":40,"flex":60}`, "gen_ai.usage.output_token_details": `{"flex_reasoning":5,"flex":15}`},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "service_tier": "flex"},
			want:       accounted{Tokens: openai.Tokens, Usage: execution.UsageReported, Billing: execution.Billing{ServiceTier: "flex"}},
		},
		"what was urgent, in Vertex AI's words": {
			provider: "gcp.vertex_ai", model: "gemini-3.1-pro",
			object:     `{"promptTokenCount":100,"candidatesTokenCount":15,"thoughtsTokenCount":5,"cachedContentTokenCount":40,"totalTokenCount":120,"trafficType":"ON_DEMAND_PRIORITY"}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.reasoning.output_tokens": 5, "vertex.traffic_type": "ON_DEMAND_PRIORITY"},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "service_tier": "priority"},
			want:       accounted{Tokens: openai.Tokens, Usage: execution.UsageReported, Billing: execution.Billing{ServiceTier: "priority"}},
		},
		"what is spoken live": {
			provider: "gcp.gemini", model: "gemini-2.5-flash-native-audio",
			object:     `{"promptTokenCount":100,"cachedContentTokenCount":40,"responseTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":100}],"responseTokensDetails":[{"modality":"AUDIO","tokenCount":15}]}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15, "gen_ai.usage.total_tokens": 120, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.audio.input_tokens": 100, "gen_ai.usage.audio.output_tokens": 15},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "audio_input_tokens": 100, "audio_output_tokens": 15},
			want:       accounted{Tokens: openai.Tokens, Usage: execution.UsageReported, Billing: execution.Billing{AudioInput: 100, AudioOutput: 15}},
		},
		"what is paid with the caller's own key": {
			provider: "openrouter", model: "openai/gpt-4o",
			object:     `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5},"cost":0.00002,"is_byok":true,"cost_details":{"upstream_inference_cost":0.0004}}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.reasoning.output_tokens": 5, "gen_ai.usage.cost": 0.00042},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "provider_cost_usd": 0.00042},
			want:       accounted{Tokens: openai.Tokens, Usage: execution.UsageReported, Cost: new(int64(420_000))},
		},
		"usage in xAI's units": {
			provider: "xai", model: "grok-4",
			object:     `{"prompt_tokens":100,"completion_tokens":15,"total_tokens":120,"prompt_text_tokens":100,"reasoning_tokens":5,"cached_prompt_text_tokens":40,"cost_in_usd_ticks":4000000}`,
			attributes: attributes{"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15, "gen_ai.usage.total_tokens": 120, "gen_ai.usage.reasoning_tokens": 5, "gen_ai.usage.cached_prompt_text_tokens": 40, "gen_ai.usage.prompt_text_tokens": 100, "gen_ai.usage.cost_in_usd_ticks": 4_000_000},
			own:        attributes{"input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 40, "reasoning_tokens": 5, "provider_cost_usd": 0.0004},
			want:       accounted{Tokens: openai.Tokens, Usage: execution.UsageReported, Cost: new(int64(400_000))},
		},
		"nothing":                {provider: "openai", model: "gpt-4o", object: `{}`, attributes: attributes{"gen_ai.request.max_tokens": 50}, own: attributes{}, want: accounted{Usage: execution.UsageUnknown}},
		"more than there can be": {provider: "openai", model: "gpt-4o", object: `{"prompt_tokens":1e300,"completion_tokens":7}`, want: accounted{Usage: execution.UsageUnknown}},
		"an object that is cut":  {provider: "openai", model: "gpt-4o", object: `{"prompt_tokens":[5],"completion_tokens":"x"}`, attributes: attributes{"llm.openai.usage": `{'prompt_tokens': 5, 'completion`}, want: accounted{Usage: execution.UsageUnknown}},
		"every count is zero":    {provider: "openai", model: "gpt-4o", object: `{"prompt_tokens":0,"completion_tokens":0}`, attributes: attributes{"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, own: attributes{"tokens_used": 0}, want: accounted{Usage: execution.UsageUnknown}},
	} {
		for by, through := range map[string]way{
			"REST, an object": func(t *testing.T, c usageCase) execution.Execution { c.own = nil; return overREST(t, c) },
			"REST":            overREST, "OTLP": overOTLP, "the gateway": overGateway,
			"OTLP, an object": func(t *testing.T, c usageCase) execution.Execution { c.attributes = nil; return overOTLP(t, c) },
		} {
			t.Run(name+" by "+by, func(t *testing.T) {
				t.Parallel()
				want := c.want
				if by != "REST" && by != "OTLP" && !bytes.Contains([]byte(c.object), []byte(`"cost`)) {
					want.Cost = nil // the object does not include it
				}
				if diff := cmp.Diff(want, accountOf(through(t, c))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func overREST(t *testing.T, c usageCase) execution.Execution {
	t.Helper()
	fields := map[string]any{"user_id": "u", "agent_name": "a", "status": "success", "kind": "inference", "model_used": c.model, "provider": c.provider}
	for name, value := range c.own {
		fields[name] = value
	}
	if c.own == nil {
		fields["usage"] = json.RawMessage(c.object)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.own { // write 100.0 as such: Marshal writes 100
		if f, ok := value.(float64); ok && f == float64(int64(f)) {
			raw = bytes.Replace(raw, fmt.Appendf(nil, "%q:%d", name, int64(f)), fmt.Appendf(nil, "%q:%d.0", name, int64(f)), 1)
		}
	}
	e, fault := readOne(raw)
	if fault != nil {
		t.Fatal(fault)
	}
	e.Tokens.Used = max(e.Tokens.Used, e.Tokens.Input+e.Tokens.Output) // as the ledger does
	return checked(t, e)
}

func checked(t *testing.T, e execution.Execution) execution.Execution {
	t.Helper()
	e.ID, e.CreatedAt = "e", time.Now()
	if fault := e.Check(execution.Acceptance{Now: time.Now(), Keep: time.Hour}); fault != nil {
		t.Error(fault)
	}
	return e
}

// keeper is a ledger that keeps the last batch.
type keeper struct{ batch execution.Batch }

func (k *keeper) Append(_ context.Context, batch execution.Batch) (execution.Outcome, error) {
	k.batch = batch
	return execution.Outcome{Accepted: len(batch.Executions)}, nil
}

func overOTLP(t *testing.T, c usageCase) execution.Execution {
	t.Helper()
	attributes := map[string]any{"gen_ai.operation.name": "chat", "gen_ai.request.model": c.model, "gen_ai.provider.name": c.provider}
	for name, value := range c.attributes {
		attributes[name] = value
	}
	if c.attributes == nil {
		attributes["acme.usage.raw"] = c.object
	}
	var pairs []map[string]any
	for name, value := range attributes {
		kind := "stringValue"
		switch value.(type) {
		case int:
			kind = "intValue"
		case float64:
			kind = "doubleValue"
		}
		pairs = append(pairs, map[string]any{"key": name, "value": map[string]any{kind: value}})
	}
	body, err := json.Marshal(map[string]any{"resourceSpans": []any{map[string]any{"scopeSpans": []any{map[string]any{
		"scope": map[string]any{"name": c.scope},
		"spans": []any{map[string]any{
			"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "chat",
			"startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601000000000", "attributes": pairs,
		}},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return checked(t, exported(t, body))
}

// exported returns the only execution of an export.
func exported(t *testing.T, body []byte) execution.Execution {
	t.Helper()
	var ledger keeper
	status, _, answer := otlp.New(otlp.Options{Ledger: &ledger}).Export(t.Context(), http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
	if status != http.StatusOK || len(ledger.batch.Executions) != 1 {
		t.Fatalf("answered %d: %s", status, answer)
	}
	return ledger.batch.Executions[0]
}
