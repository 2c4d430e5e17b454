package usage

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestAttributeNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]kind{
		"gen_ai.usage.input_tokens":                                input,
		"gen_ai.usage.prompt_tokens":                               input,
		"gen_ai.usage.output_tokens":                               output,
		"gen_ai.usage.total_tokens":                                total,
		"gen_ai.usage.cache_read.input_tokens":                     cacheRead,
		"gen_ai.usage.cache_read_input_tokens":                     cacheRead,
		"gen_ai.usage.cache_creation.input_tokens":                 cacheWrite,
		"gen_ai.usage.cache_write_input_tokens":                    cacheWrite,
		"gen_ai.usage.cache_write.input_tokens":                    cacheWrite,
		"gen_ai.usage.input_tokens.cached":                         cacheRead,
		"gen_ai.usage.reasoning.output_tokens":                     reasoning,
		"gen_ai.usage.output_tokens.reasoning":                     reasoning,
		"gen_ai.usage.details.cache_write_tokens":                  cacheWrite,
		"gen_ai.usage.details.accepted_prediction_tokens":          ignored,
		"gen_ai.usage.details.audio_tokens":                        ignored, // does not say whether of input or output
		"gen_ai.aggregated_usage.input_tokens":                     ignored,
		"anthropic.usage.cache_creation.ephemeral_1h_input_tokens": cacheWrite1h,
		"anthropic.usage.cache_creation.ephemeral_5m_input_tokens": cacheWrite5m,
		"llm.token_count.prompt":                                   input,
		"llm.token_count.completion":                               output,
		"llm.token_count.total":                                    total,
		"llm.token_count.prompt_details.cache_input":               cacheRead,
		"llm.token_count.prompt_details.cache_write":               cacheWrite,
		"llm.token_count.prompt_details.audio":                     audioInput,
		"llm.token_count.completion_details.audio":                 audioOutput,
		"llm.token_count.completion_details.reasoning":             reasoning,
		"ai.usage.inputTokens":                                     input,
		"ai.usage.cachedInputTokens":                               cacheRead,
		"ai.usage.tokens":                                          input,
		"ai.usage.inputTokenDetails.noCacheTokens":                 uncached,
		"ai.usage.inputTokenDetails.cacheWriteTokens":              cacheWrite,
		"ai.usage.outputTokenDetails.textTokens":                   textOutput,
		"gen_ai.usage.details.text_candidates_tokens":              textOutput,
		"gen_ai.usage.details.text_prompt_tokens":                  textInput,
		"ai.usage.outputTokenDetails.reasoningTokens":              reasoning,
		"gen_ai.client.token.usage":                                bare,
		"gen_ai.usage.raw":                                         named,
		"metadata.usage_object":                                    named,
		"mlflow.chat.tokenUsage":                                   bare,
		"llm.gemini.usageMetadata":                                 named,
		"ai.response.providerMetadata":                             container,
		"gcp.vertex.agent.llm_response":                            container,
		"genkit:output":                                            container,

		// Spellings that nobody uses yet.
		"acme.llm.token_usage.promptTokensFromCache": unread,
		"acme.tokens.prompt":                         input,
		"acme.usage.tokens_in_cache_hit":             cacheRead,
		"acme.completion_token_count":                output,
		"acme.usage.thinkingTokens":                  reasoning,
		"acme.usage.frobnicated_tokens":              unread,

		"gen_ai.usage.cached_tokens":                              cacheRead,
		"gen_ai.usage.input_cached_tokens":                        cacheRead,
		"gen_ai.usage.prompt_tokens_details.cached_tokens":        cacheRead,
		"gen_ai.usage.completion_tokens_details.reasoning_tokens": reasoning,
		"gen_ai.usage.input_audio_tokens":                         audioInput,
		"gen_ai.usage.output_image_tokens":                        imageOutput,
		"gen_ai.response.prompt_tokens":                           input,
		"gen_ai.token.usage.input":                                input,
		"_ml_obs.metrics.output_tokens":                           output,
		"tokens.input.cached":                                     cacheRead,
		"num_input_tokens":                                        input,
		"llm.completion_token_count":                              output,
		"langsmith.usage_metadata":                                named,
		"braintrust.metrics":                                      named,
		"crewai.crew.usage_metrics":                               named,
		"usage.num_sources_used":                                  ignored,
		"usage.estimated_cost":                                    cost,
		"llm.cost.prompt":                                         costInput,
		"llm.cost.prompt_details.input":                           ignored,
		"llm.usage.total_price":                                   cost,

		// Names from libraries.
		"gen_ai.usage.cached_prompt_text_tokens":           cacheRead, // xai-sdk
		"gen_ai.usage.prompt_text_tokens":                  textInput,
		"gen_ai.usage.prompt_image_tokens":                 imageInput,
		"gen_ai.usage.cost_in_usd_ticks":                   cost,
		"gen_ai.usage.text.cache_read.input_tokens":        cacheRead, // LiveKit
		"gen_ai.usage.audio.cache_read.input_tokens":       audioCacheRead,
		"gen_ai.usage.image.cache_read.input_tokens":       ignored,
		"gen_ai.usage.text.input_tokens":                   textInput,
		"gen_ai.usage.output_text_tokens":                  textOutput,
		"gen_ai.usage.audio.output_tokens":                 audioOutput,
		"lk.agents.usage.tts_characters":                   ignored,
		"lk.agents.usage.llm_session_duration":             ignored,
		"upsonic.usage.cache_write_tokens":                 cacheWrite, // Upsonic
		"upsonic.usage.input_audio_tokens":                 audioInput,
		"upsonic.total_cost":                               cost,
		"upsonic.time_to_first_token":                      silent,
		"openai.cached_input_tokens":                       cacheRead, // Datadog
		"openai.reasoning_tokens":                          reasoning,
		"openai.organization.ratelimit.tokens.remaining":   silent,
		"anthropic.cache_creation_input_tokens":            cacheWrite, // OpenLIT
		"gen_ai.token.usage.total":                         total,
		"gen_ai.token.cost.total":                          cost,
		"gen_ai.usage.experimental.reasoning_tokens_limit": ignored, // ADK
		"gen_ai.performance.tokens_per_second":             silent,
		"gen_ai.compaction.token_threshold":                silent,
		"haystack.agent.hook.compaction.target_tokens":     silent,
		"gen_ai.token.chunk_usage":                         ignored,
		"mlflow.llm.cost":                                  cost,
		"gen_ai.response.service_tier":                     tier,
		"gen_ai.usage.traffic_type":                        tier,
		"vertex.traffic_type":                              tier,
		"http.traffic_type":                                silent,
		"langchain.usage_metadata":                         named,
		"gen_ai.usage.response_tokens":                     output,
		"acme.responseTokens":                              output,
		"gen_ai.response.tokens":                           silent,
		"gen_ai.usage.input_token_details.flex_cache_read": cacheRead,
		"gen_ai.usage.output_token_details.flex":           textOutput,
		"gen_ai.usage.input_token_details.priority":        uncached,

		// Counts of something else.
		"anthropic.message.count_tokens.input_tokens": silent,
		"gen_ai.request.max_tokens":                   silent,
		"llm.anthropic.max_tokens":                    silent,
		"gen_ai.server.time_to_first_token":           silent,
		"pydantic_ai.cache.established_tokens":        silent,
		"metadata.used_client_oauth_token":            silent,
		"system.memory.usage":                         named,
		"gen_ai.request.model":                        silent,
		"http.cookie":                                 silent,

		"gen_ai.cost.total_cost":                cost,
		"gen_ai.cost.input_cost":                costInput,
		"gen_ai.cost.discount_amount":           ignored,
		"gen_ai.cost.original_cost":             ignored,
		"gen_ai.usage.cost":                     cost,
		"llm.cost.total":                        cost,
		"operation.cost":                        cost,
		"langfuse.observation.cost_details":     cost,
		"gen_ai.openai.response.service_tier":   tier,
		"openai.response.service_tier":          tier,
		"gen_ai.openai.request.service_tier":    tierAsked,
		"anthropic.response.service_tier":       tier,
		"cloud.region":                          region,
		"aws.region":                            region,
		strings.Repeat("usage.tokens.", 100_00): silent,
	} {
		if got := Attribute(name).kind; got != want {
			t.Errorf("%.80s: kind %d, want %d", name, got, want)
		}
		if got := Attribute(name).kind; got != want { // from the cache
			t.Errorf("%.80s the second time: kind %d, want %d", name, got, want)
		}
	}
}

func TestObjects(t *testing.T) {
	t.Parallel()
	type tokens = execution.Tokens
	openai := tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120}
	anthropic := tokens{Input: 110, Output: 20, CacheRead: 40, CacheWrite: 10, Used: 130}
	for text, want := range map[string]tokens{
		`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}}`:                                         openai,
		`{"input_tokens":100,"input_tokens_details":{"cached_tokens":40},"output_tokens":20,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":120}`:                                                                    openai,
		`{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120}`:                                                                                             openai,
		`{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5}`:                                                                                                                   openai,
		`{"inputTokens":100,"outputTokens":15,"totalTokens":120,"thoughtsTokens":5,"cachedContentTokens":40}`:                                                                                                                      openai,
		`{"input":60,"output":15,"total":120,"input_cached_tokens":40,"output_reasoning_tokens":5}`:                                                                                                                                openai,
		`{'completion_tokens': 20, 'prompt_tokens': 100, 'total_tokens': 120, 'completion_tokens_details': {'reasoning_tokens': 5, 'audio_tokens': None}, 'prompt_tokens_details': {'cached_tokens': 40, 'x': True, 'y': (1, 2)}}`: openai,
		`Usage(completion_tokens=20, prompt_tokens=100, completion_tokens_details=CompletionTokensDetails(reasoning_tokens=5, text_tokens=None), prompt_tokens_details=PromptTokensDetails('x', cached_tokens=40))`:                openai,
		`{"prompt_tokens":100,"completion_tokens":20,"prompt_cache_hit_tokens":40,"prompt_cache_miss_tokens":60,"completion_tokens_details":{"reasoning_tokens":5}}`:                                                               openai,
		`{"prompt_eval_count":100,"eval_count":20,"eval_duration":99999}`:                                                                                                                                                          {Input: 100, Output: 20, Used: 120},

		`{"input_tokens":60,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"output_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":0},"server_tool_use":{"web_search_requests":3}}`: anthropic,
		`{"input_tokens":110,"output_tokens":20,"total_tokens":130,"cache_read_input_tokens":40,"cache_creation_input_tokens":10,"cache_creation_input_tokens_above_1hr":0}`:                                                               anthropic,
		`{"prompt_tokens":110,"completion_tokens":20,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":40,"cache_write_tokens":10}}`:                                                                                             anthropic,
		`{"prompt_tokens":110,"completion_tokens":20,"cache_read_input_tokens":40,"cache_creation_input_tokens":10}`:                                                                                                                       anthropic,
		`{"inputTokens":60,"outputTokens":20,"totalTokens":130,"cacheReadInputTokens":40,"cacheWriteInputTokens":10}`:                                                                                                                      anthropic,

		`{"input_tokens":20000,"output_tokens":500,"total_tokens":35500,"cache_read_input_tokens":15000}`: {Input: 35000, Output: 500, CacheRead: 15000, Used: 35500},
		`{"input_tokens":10,"output_tokens":1500,"total_tokens":2310,"reasoning_tokens":800}`:             {Input: 10, Output: 2300, Reasoning: 800, Used: 2310},
		`{"prompt_tokens":10,"completion_tokens":150,"total_tokens":8160}`:                                {Input: 10, Output: 150, Used: 8160},
		`{"prompt_tokens":10,"total_tokens":160}`:                                                         {Input: 10, Output: 150, Used: 160},
		`{"total_tokens":160}`: {Used: 160},
		`{"promptTokenCount":10,"toolUsePromptTokenCount":30,"candidatesTokenCount":5,"totalTokenCount":45}`:                                                           {Input: 40, Output: 5, Used: 45},
		`{"billed_units":{"input_tokens":7,"output_tokens":3},"tokens":{"input_tokens":90,"output_tokens":3}}`:                                                         {Input: 7, Output: 3, Used: 10},
		`{"claude-sonnet-4-5":{"inputTokens":60,"outputTokens":20,"cacheReadInputTokens":40,"cacheCreationInputTokens":10,"webSearchRequests":2,"costUSD":0.1}}`:       anthropic,
		`{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_token_details":{"cache_read":40,"cache_creation":0},"output_token_details":{"reasoning":5}}`: openai,
		`{"input_tokens":10.0,"output_tokens":"5"}`: {Input: 10, Output: 5, Used: 15},

		`{"prompt_tokens":-5,"completion_tokens":"many"}`:         {},
		`{"prompt_tokens":1e300,"completion_tokens":7}`:           {},
		`{"prompt_tokens":5,"completion_tokens":7`:                {}, // truncated
		`{'prompt_tokens': 5, 'completion_tokens': 7, 'x': '`:     {},
		`{"a":` + strings.Repeat(`{"a":`, 5000) + `1`:             {},
		`{"prompt_tokens":[{"a":5}],"completion_tokens":{"a":1}}`: {},
	} {
		var events Events
		events.Add(text)
		if diff := cmp.Diff(want, events.Settle(Source{}).Tokens); diff != "" {
			t.Errorf("%.200s (-want +got):\n%s", text, diff)
		}
	}
}

func TestBilling(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]execution.Billing{
		`{"input_tokens":60,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":4,"ephemeral_1h_input_tokens":6},"service_tier":"batch","inference_geo":"us"}`:                                    {ServiceTier: "batch", Region: "us", CacheWrite1h: 6},
		`{"input_tokens":60,"cache_creation_input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":10},"service_tier":"standard","inference_geo":"global","speed":"fast"}`:                                           {ServiceTier: "fast"},
		`{"prompt_tokens":100,"completion_tokens":50,"prompt_tokens_details":{"audio_tokens":30,"image_tokens":20},"completion_tokens_details":{"audio_tokens":40}}`:                                                         {AudioInput: 30, ImageInput: 20, AudioOutput: 40},
		`{"promptTokenCount":100,"promptTokensDetails":[{"modality":"TEXT","tokenCount":60},{"modality":"AUDIO","tokenCount":40}],"candidatesTokenCount":5,"candidatesTokensDetails":[{"tokenCount":3,"modality":"IMAGE"}]}`: {AudioInput: 40, ImageOutput: 3},
		`{"input_tokens":100,"input_token_details":{"cached_tokens":40,"cached_tokens_details":{"text_tokens":30,"audio_tokens":10},"audio_tokens":20}}`:                                                                     {AudioCacheRead: 10, AudioInput: 20},
		`{"inputTokens":100,"cacheWriteInputTokens":20,"cacheDetails":[{"inputTokens":20,"ttl":"1h"}]}`:                                                                                                                      {CacheWrite1h: 20},
	} {
		var events Events
		events.Add(text)
		if diff := cmp.Diff(want, events.Settle(Source{}).Billing); diff != "" {
			t.Errorf("%.200s (-want +got):\n%s", text, diff)
		}
	}
}

// BenchmarkSpan reads the attributes of a span with content.
func BenchmarkSpan(b *testing.B) {
	keys := []string{
		"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model", "gen_ai.response.id",
		"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens",
		"gen_ai.response.finish_reasons", "gen_ai.input.messages", "gen_ai.output.messages", "server.address", "server.port",
		"gen_ai.conversation.id", "user.id", "gen_ai.request.temperature", "gen_ai.request.max_tokens",
	}
	b.ReportAllocs()
	for b.Loop() {
		r := Report{Source: Source{Provider: "openai", Model: "gpt-4o"}}
		for _, key := range keys {
			name := Attribute(key)
			if name.Silent() {
				continue
			}
			if err := r.Number(key, name, 100); err != nil {
				b.Fatal(err)
			}
		}
		if result := r.Settle(); !result.Counted() {
			b.Fatal("no count was read")
		}
	}
}

func BenchmarkObject(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var events Events
		events.Add(`{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":5}}`)
		if result := events.Settle(Source{}); !result.Counted() {
			b.Fatal("no count was read")
		}
	}
}

func TestPartsStayWithinTotalOfTwoAccounts(t *testing.T) {
	t.Parallel()
	var r Report
	for key, object := range map[string]string{
		"a.usage": `{"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":100}}`,
		"b.usage": `{"prompt_tokens":50,"prompt_tokens_details":{"cache_write_tokens":50,"cache_write_1h_tokens":50}}`,
	} {
		if err := r.Text(key, Attribute(key), object); err != nil {
			t.Fatal(err)
		}
	}
	result := r.Settle()
	checkTold(t, &result)
	if want := (execution.Tokens{Input: 100, CacheRead: 100, Used: 100}); result.Tokens != want {
		t.Errorf("%+v, want %+v", result.Tokens, want)
	}
}

func TestUnrelatedTotalIsIgnored(t *testing.T) {
	t.Parallel()
	var r Report
	for key, n := range map[string]float64{"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "session.total_tokens": 9000} {
		if err := r.Number(key, Attribute(key), n); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.Settle().Tokens, (execution.Tokens{Input: 10, Output: 5, Used: 15}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestCharges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		attributes map[string]string
		want       int64 // nano-USD; -1 if none
	}{
		{map[string]string{"gen_ai.usage.cost": "0.0004"}, 400_000},
		{map[string]string{"gen_ai.usage.cost": "0"}, -1},
		{map[string]string{"operation.cost": "$0.0004"}, 400_000},
		{map[string]string{"gen_ai.cost.total_cost": "0.0004", "gen_ai.cost.input_cost": "0.0002", "gen_ai.cost.original_cost": "9"}, 400_000},
		{map[string]string{"llm.cost.prompt": "0.0001", "llm.cost.completion": "0.0003", "llm.cost.prompt_details.input": "0.0001"}, 400_000},
		{map[string]string{"langfuse.observation.cost_details": `{"input":0.0001,"output":0.0003,"total":0.0004}`}, 400_000},
		{map[string]string{"langfuse.observation.cost_details": `{"input":0.0001,"output":0.0003}`}, 400_000},
		{map[string]string{"langfuse.observation.cost_details": `{"total":0}`}, -1},
		{map[string]string{"acme.usage": `{"cost":0}`}, 0},
		{map[string]string{"acme.usage": `{"cost":{"input_tokens_cost":0.1,"total_cost":0.0004}}`}, 400_000},
		{map[string]string{"llm.cost.prompt": "0.0001", "gen_ai.cost.input_cost": "0.0001", "llm.cost.completion": "0.0003"}, 400_000},
		{map[string]string{"acme.usage": `{"cost":0.0004,"is_byok":false,"cost_details":{"upstream_inference_cost":0.0004}}`}, 400_000},
		{map[string]string{"acme.usage": `{"cost":0.00002,"is_byok":true,"cost_details":{"upstream_inference_cost":0.0004}}`}, 420_000},
		{map[string]string{"acme.usage": `{"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.0004,"upstream_inference_prompt_cost":0.0001,"upstream_inference_completions_cost":0.0003}}`}, 400_000},
		{map[string]string{"acme.usage": `{"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":null}}`}, 0},
		{map[string]string{"acme.usage": `{"cost_in_usd_ticks":4000000}`}, 400_000},
		{map[string]string{"gen_ai.usage.cost_in_usd_ticks": "4000000"}, 400_000},
		{map[string]string{"mlflow.llm.cost": `{"input_cost":0.0001,"output_cost":0.0003,"total_cost":0.0004}`}, 400_000},
		{map[string]string{"gen_ai.token.cost.total": "0.0004"}, 400_000},
		{map[string]string{"acme.usage": `{"cost":{"input_tokens_cost":0.0001,"output_tokens_cost":0.0002,"request_cost":0.005,"total_cost":0.0053}}`}, 5_300_000},
		{map[string]string{"ai.response.providerMetadata": `{"openrouter":{"provider":"Azure","usage":{"promptTokens":100,"completionTokens":20,"totalTokens":120,"cost":0.00002,"isByok":true,"costDetails":{"upstreamInferenceCost":0.0004}}}}`}, 420_000},
		{map[string]string{"ai.response.providerMetadata": `{"gateway":{"routing":{"finalProvider":"openai","attempts":[{"provider":"openai","cost":9}]},"cost":"0.0004","marketCost":"0.0005","generationId":"gen_01"}}`}, 400_000},
		{map[string]string{"ai.response.providerMetadata": `{"google":{"groundingMetadata":{"cost":"9"}}}`}, -1},
		{map[string]string{"llm.cost.total": "-1"}, -1},
		{map[string]string{"llm.cost.total": "NaN"}, -1},
		{map[string]string{"llm.cost.total": "1e300"}, -1},
		{map[string]string{"llm.cost.total": "many"}, -1},
	} {
		var r Report
		for key, text := range tt.attributes {
			if err := r.Text(key, Attribute(key), text); err != nil {
				t.Fatal(err)
			}
		}
		got := int64(-1)
		if result := r.Settle(); result.Cost != nil {
			got = *result.Cost
		}
		if got != tt.want {
			t.Errorf("%v: %d nano-USD, want %d", tt.attributes, got, tt.want)
		}
	}
}

// TestUnreadNamesExcludeWrappers checks that unread names do not contain arbitrary members, such as user names.
func TestUnreadNamesExcludeWrappers(t *testing.T) {
	t.Parallel()
	r := Report{}
	if err := r.Text("acme.usage", Attribute("acme.usage"), `{"ada":{"frobnicated_tokens":5},"input_tokens":7}`); err != nil {
		t.Fatal(err)
	}
	if result := r.Settle(); len(result.Unread) != 1 || result.Unread[0] != "acme.usage.frobnicated_tokens" || result.Tokens.Input != 7 {
		t.Errorf("%v, %+v", result.Unread, result.Tokens)
	}
}

// TestObjectWithoutTotal checks objects without totals: version 5 of the AI SDK reports tokens written to Bedrock's
// cache in an object of their own.
func TestObjectWithoutTotal(t *testing.T) {
	t.Parallel()
	numbers := map[string]float64{"ai.usage.inputTokens": 60, "ai.usage.cachedInputTokens": 40, "ai.usage.outputTokens": 20, "ai.usage.totalTokens": 80}
	const key = "ai.response.providerMetadata"
	for name, object := range map[string]string{
		"written":          `{"bedrock":{"usage":{"cacheWriteInputTokens":10}}}`,
		"written and read": `{"bedrock":{"usage":{"cacheReadInputTokens":40,"cacheWriteInputTokens":10}}}`,
	} {
		for _, first := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := Report{Source: Source{Scope: "ai", Provider: "amazon-bedrock", Model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}}
				tell := func() {
					if err := r.Text(key, Attribute(key), object); err != nil {
						t.Error(err)
					}
				}
				if first {
					tell()
				}
				for key, n := range numbers {
					if err := r.Number(key, Attribute(key), n); err != nil {
						t.Error(err)
					}
				}
				if !first {
					tell()
				}
				result := r.Settle()
				checkTold(t, &result)
				if want := (execution.Tokens{Input: 110, CacheRead: 40, CacheWrite: 10, Output: 20, Used: 130}); result.Tokens != want {
					t.Errorf("%+v, want %+v", result.Tokens, want)
				}
			})
		}
	}
}
