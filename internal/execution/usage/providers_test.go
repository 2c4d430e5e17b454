package usage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestProvidersObjects checks usage objects of providers' APIs and SDKs, from their references.
func TestProvidersObjects(t *testing.T) {
	t.Parallel()
	type tokens = execution.Tokens
	type billing = execution.Billing
	openai := tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120}
	anthropic := tokens{Input: 110, Output: 20, CacheRead: 40, CacheWrite: 10, Used: 130}
	for name, tt := range map[string]struct {
		by      Source
		object  string
		tokens  tokens
		billing billing
		unread  []string
	}{
		"OpenAI, predicted output": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":0,"accepted_prediction_tokens":7,"rejected_prediction_tokens":3}}`,
			tokens: openai,
		},
		"OpenAI, an image": {
			object:  `{"total_tokens":4500,"input_tokens":50,"output_tokens":4450,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens_details":{"image_tokens":4450,"text_tokens":0}}`,
			tokens:  tokens{Input: 50, Output: 4450, Used: 4500},
			billing: billing{ImageInput: 40, ImageOutput: 4450},
		},
		"OpenAI, a transcription": {
			object:  `{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":45,"total_tokens":59}`,
			tokens:  tokens{Input: 14, Output: 45, Used: 59},
			billing: billing{AudioInput: 10},
		},
		"OpenAI, a transcription billed by its length": {object: `{"type":"duration","seconds":27}`},
		"OpenAI, realtime": {
			object:  `{"total_tokens":253,"input_tokens":132,"output_tokens":121,"input_token_details":{"text_tokens":119,"audio_tokens":13,"image_tokens":0,"cached_tokens":64,"cached_tokens_details":{"text_tokens":54,"audio_tokens":10,"image_tokens":0}},"output_token_details":{"text_tokens":30,"audio_tokens":91}}`,
			tokens:  tokens{Input: 132, Output: 121, CacheRead: 64, Used: 253},
			billing: billing{AudioInput: 13, AudioCacheRead: 10, AudioOutput: 91},
		},
		"OpenAI, embeddings":         {object: `{"prompt_tokens":8,"total_tokens":8}`, tokens: tokens{Input: 8, Used: 8}},
		"OpenAI, without a cache":    {object: `{"input_tokens":100,"input_tokens_details":{"cached_tokens":0},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":120}`, tokens: tokens{Input: 100, Output: 20, Used: 120}},
		"OpenAI, writing to a cache": {object: `{"input_tokens":110,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":10},"output_tokens":20,"total_tokens":130}`, tokens: anthropic},

		"Anthropic, server tools": {
			object: `{"input_tokens":60,"cache_creation_input_tokens":10,"cache_read_input_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":0},"output_tokens":20,"server_tool_use":{"web_search_requests":2,"web_fetch_requests":1},"service_tier":"standard"}`,
			tokens: anthropic,
		},
		"Anthropic, a cache of an hour alone": {
			object:  `{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation":{"ephemeral_1h_input_tokens":10},"output_tokens":20,"service_tier":"priority"}`,
			tokens:  anthropic,
			billing: billing{CacheWrite1h: 10, ServiceTier: "priority"},
		},
		"Anthropic, a compacted conversation": { // only the iterations have the usage of compacting
			object: `{"input_tokens":23000,"output_tokens":1000,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"iterations":[{"type":"compaction","input_tokens":180000,"output_tokens":3500},{"type":"message","input_tokens":23000,"output_tokens":1000}]}`,
			tokens: tokens{Input: 203000, Output: 4500, Used: 207500},
		},
		"Anthropic, a compacted conversation from a cache": {
			object: `{"iterations":[{"type":"compaction","input_tokens":50,"cache_read_input_tokens":30,"output_tokens":5},{"type":"message","input_tokens":10,"cache_read_input_tokens":10,"cache_creation_input_tokens":10,"output_tokens":15}],"input_tokens":10,"cache_read_input_tokens":10,"cache_creation_input_tokens":10,"output_tokens":15}`,
			tokens: anthropic,
		},
		"Anthropic, several messages": { // the counts are their sum
			object: `{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20,"iterations":[{"type":"message","input_tokens":30,"cache_read_input_tokens":20,"cache_creation_input_tokens":10,"output_tokens":10},{"type":"message","input_tokens":30,"cache_read_input_tokens":20,"output_tokens":10}]}`,
			tokens: anthropic,
		},
		"Anthropic, an advisor": { // another model, with its own price
			object: `{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20,"iterations":[{"type":"message","input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20},{"type":"advisor_message","model":"claude-opus-4-6","input_tokens":800,"output_tokens":900}]}`,
			tokens: anthropic,
		},

		"Gemini, tools": {
			by:     Source{Provider: "gcp.gemini", Model: "gemini-2.5-flash"},
			object: `{"promptTokenCount":70,"toolUsePromptTokenCount":30,"toolUsePromptTokensDetails":[{"modality":"TEXT","tokenCount":30}],"candidatesTokenCount":15,"thoughtsTokenCount":5,"cachedContentTokenCount":40,"cacheTokensDetails":[{"modality":"TEXT","tokenCount":40}],"totalTokenCount":120,"promptTokensDetails":[{"modality":"TEXT","tokenCount":70}]}`,
			tokens: openai,
		},
		"Gemini, sound and pictures": {
			by:      Source{Provider: "gcp.gemini", Model: "gemini-2.5-flash"},
			object:  `{"promptTokenCount":100,"candidatesTokenCount":20,"totalTokenCount":120,"cachedContentTokenCount":40,"promptTokensDetails":[{"modality":"TEXT","tokenCount":20},{"modality":"AUDIO","tokenCount":50},{"modality":"IMAGE","tokenCount":30}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":40}],"candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":12},{"modality":"TEXT","tokenCount":8}]}`,
			tokens:  tokens{Input: 100, Output: 20, CacheRead: 40, Used: 120},
			billing: billing{AudioInput: 50, AudioCacheRead: 40, ImageInput: 30, ImageOutput: 12},
		},
		"Gemini, urgent": {
			by:      Source{Provider: "gcp.vertex_ai", Model: "gemini-3.1-pro"},
			object:  `{"promptTokenCount":100,"candidatesTokenCount":15,"thoughtsTokenCount":5,"cachedContentTokenCount":40,"totalTokenCount":120,"trafficType":"ON_DEMAND_PRIORITY"}`,
			tokens:  openai,
			billing: billing{ServiceTier: "priority"},
		},
		"Gemini, not urgent": {
			by:      Source{Provider: "gcp.vertex_ai", Model: "gemini-3.1-pro"},
			object:  `{'prompt_token_count': 100, 'candidates_token_count': 15, 'thoughts_token_count': 5, 'cached_content_token_count': 40, 'total_token_count': 120, 'traffic_type': <TrafficType.ON_DEMAND_FLEX: 'ON_DEMAND_FLEX'>}`,
			tokens:  openai,
			billing: billing{ServiceTier: "flex"},
		},
		"Gemini, as usual": {
			by:     Source{Provider: "gcp.vertex_ai", Model: "gemini-3.1-pro"},
			object: `{"promptTokenCount":100,"candidatesTokenCount":15,"thoughtsTokenCount":5,"cachedContentTokenCount":40,"totalTokenCount":120,"trafficType":"ON_DEMAND"}`,
			tokens: openai,
		},
		"Gemini, live": {
			by:      Source{Provider: "gcp.gemini", Model: "gemini-2.5-flash-native-audio"},
			object:  `{"promptTokenCount":100,"cachedContentTokenCount":40,"responseTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":100}],"responseTokensDetails":[{"modality":"AUDIO","tokenCount":15}]}`,
			tokens:  openai,
			billing: billing{AudioInput: 100, AudioOutput: 15},
		},
		"Gemini, live, without a total": {
			by:     Source{Provider: "gcp.gemini", Model: "gemini-2.5-flash-native-audio"},
			object: `{"promptTokenCount":100,"cachedContentTokenCount":40,"responseTokenCount":15,"thoughtsTokenCount":5}`,
			tokens: openai,
		},
		"Gemini, nothing but thoughts": {
			by:     Source{Provider: "gcp.gemini", Model: "gemini-2.5-flash"},
			object: `{"promptTokenCount":100,"thoughtsTokenCount":60,"totalTokenCount":160}`,
			tokens: tokens{Input: 100, Output: 60, Reasoning: 60, Used: 160},
		},

		"Bedrock, a cache of an hour": {
			object:  `{"inputTokens":60,"outputTokens":20,"totalTokens":130,"cacheReadInputTokens":40,"cacheWriteInputTokens":10,"cacheDetails":[{"ttl":"5m","inputTokens":4},{"ttl":"1h","inputTokens":6}],"serverToolUsage":{"webSearchRequests":1}}`,
			tokens:  anthropic,
			billing: billing{CacheWrite1h: 6},
		},
		"Bedrock, Nova's own words": {
			object: `{"inputTokens":60,"outputTokens":20,"totalTokens":130,"cacheReadInputTokenCount":40,"cacheWriteInputTokenCount":10}`,
			tokens: anthropic,
		},
		"Bedrock, the metrics of an invocation": {
			object: `{"inputTokenCount":60,"outputTokenCount":20,"invocationLatency":1523,"firstByteLatency":812,"cacheReadInputTokenCount":40,"cacheWriteInputTokenCount":10}`,
			tokens: anthropic,
		},
		"Bedrock, Titan": {object: `{"inputTextTokenCount":100,"results":[{"tokenCount":20,"outputText":"Mild.","completionReason":"FINISH"}]}`, tokens: tokens{Input: 100, Used: 100}},
		"Bedrock, Llama": {object: `{"prompt_token_count":100,"generation_token_count":20}`, tokens: tokens{Input: 100, Output: 20, Used: 120}},

		"Cohere":                    {object: `{"billed_units":{"input_tokens":7,"output_tokens":3},"tokens":{"input_tokens":90,"output_tokens":3},"cached_tokens":80}`, tokens: tokens{Input: 7, Output: 3, Used: 10}},
		"Cohere, a rerank":          {object: `{"billed_units":{"search_units":1}}`},
		"Cohere, embedded pictures": {object: `{"billed_units":{"images":1,"input_tokens":7}}`, tokens: tokens{Input: 7, Used: 7}},
		"Cohere, classifications":   {object: `{"billed_units":{"classifications":3}}`},
		"Mistral": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_audio_seconds":4,"num_cached_tokens":40,"prompt_token_details":null}`,
			tokens: tokens{Input: 100, Output: 20, CacheRead: 40, Used: 120},
		},
		"Mistral, an agent": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":135,"connector_tokens":15,"connectors":{"web_search":1}}`,
			tokens: tokens{Input: 115, Output: 20, Used: 135},
		},
		"DeepSeek, all of it from the cache": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":100,"prompt_cache_miss_tokens":0,"completion_tokens_details":{"reasoning_tokens":5}}`,
			tokens: tokens{Input: 100, Output: 20, CacheRead: 100, Reasoning: 5, Used: 120},
		},
		"DeepSeek, nothing from the cache": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":100}`,
			tokens: tokens{Input: 100, Output: 20, Used: 120},
		},
		"Groq": {
			object: `{"queue_time":1,"prompt_tokens":100,"prompt_time":2,"completion_tokens":20,"completion_time":3,"total_tokens":120,"total_time":6,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}`,
			tokens: openai,
		},
		"Cerebras": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"accepted_prediction_tokens":0,"rejected_prediction_tokens":0,"reasoning_tokens":5}}`,
			tokens: openai,
		},
		"xAI": {
			by:     Source{Provider: "xai", Model: "grok-4"},
			object: `{"prompt_tokens":100,"completion_tokens":15,"total_tokens":120,"prompt_tokens_details":{"text_tokens":100,"audio_tokens":0,"image_tokens":0,"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"num_sources_used":0}`,
			tokens: openai,
		},
		"xAI, its own SDK": {
			by:     Source{Provider: "xai", Model: "grok-4"},
			object: `{"completion_tokens":15,"prompt_tokens":100,"total_tokens":120,"prompt_text_tokens":100,"reasoning_tokens":5,"cached_prompt_text_tokens":40,"prompt_image_tokens":0,"num_sources_used":2,"server_side_tools_used":["x_search"]}`,
			tokens: openai,
		},
		"xAI, what it costs": {
			by:     Source{Provider: "xai", Model: "grok-4"},
			object: `{"prompt_tokens":100,"completion_tokens":15,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5},"cost_in_usd_ticks":4000000}`,
			tokens: openai,
		},
		"Ollama":   {object: `{"total_duration":10706818083,"load_duration":6338219291,"prompt_eval_count":100,"prompt_eval_duration":130079000,"eval_count":20,"eval_duration":4232710000}`, tokens: tokens{Input: 100, Output: 20, Used: 120}},
		"Together": {object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"cached_tokens":40}`, tokens: tokens{Input: 100, Output: 20, CacheRead: 40, Used: 120}},
		"Moonshot": {object: `{"prompt_tokens":100,"completion_tokens":20,"cached_tokens":40}`, tokens: tokens{Input: 100, Output: 20, CacheRead: 40, Used: 120}},
		"vLLM":     {object: `{"prompt_tokens":100,"total_tokens":120,"completion_tokens":20,"prompt_tokens_details":null}`, tokens: tokens{Input: 100, Output: 20, Used: 120}},
		"OpenRouter": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"cost":0.0004,"is_byok":false,"prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":5,"image_tokens":0}}`,
			tokens: openai,
		},
		"Perplexity": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"search_context_size":"low","citation_tokens":200,"num_search_queries":3,"cost":{"input_tokens_cost":0.0001,"output_tokens_cost":0.0002,"request_cost":0.005,"total_cost":0.0053}}`,
			tokens: tokens{Input: 100, Output: 20, Used: 120},
			unread: []string{"usage.citation_tokens"},
		},
		"watsonx":           {object: `{"generated_token_count":20,"input_token_count":100}`, tokens: tokens{Input: 100, Output: 20, Used: 120}},
		"Voyage":            {by: Source{Model: "voyage-3.5"}, object: `{"total_tokens":8}`, tokens: tokens{Input: 8, Used: 8}},
		"Voyage, of images": {by: Source{Model: "voyage-multimodal-3"}, object: `{"text_tokens":5,"image_pixels":1000000,"total_tokens":15}`, tokens: tokens{Input: 15, Used: 15}},
		"Jina":              {object: `{"total_tokens":8,"prompt_tokens":8}`, tokens: tokens{Input: 8, Used: 8}},
		"Cloudflare":        {object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":0}}`, tokens: tokens{Input: 100, Output: 20, Used: 120}},
		"Alibaba": {
			object:  `{"input_tokens":100,"output_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"output_tokens_details":{"text_tokens":15,"reasoning_tokens":5},"input_tokens_details":{"text_tokens":70,"image_tokens":30}}`,
			tokens:  openai,
			billing: billing{ImageInput: 30},
		},
		"Alibaba, writing to a cache": {
			object: `{"prompt_tokens":110,"completion_tokens":20,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":40,"cache_creation":{"ephemeral_5m_input_tokens":10},"cache_creation_input_tokens":10,"cache_type":"ephemeral"}}`,
			tokens: anthropic,
		},
		"GitHub Copilot": {
			object: `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5},"copilot_usage":{"total_nano_aiu":400000000}}`,
			tokens: openai,
			unread: []string{"usage.copilot_usage.total_nano_aiu"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var events Events
			events.Add(tt.object)
			result := events.Settle(tt.by)
			checkTold(t, &result)
			if diff := cmp.Diff(tt.tokens, result.Tokens); diff != "" {
				t.Errorf("tokens (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.billing, result.Billing); diff != "" {
				t.Errorf("billing (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.unread, result.Unread); diff != "" {
				t.Errorf("unread (-want +got):\n%s", diff)
			}
		})
	}
}
