package otlp_test

import (
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestCallsOfModels checks which spans are model calls, and of which model.
func TestCallsOfModels(t *testing.T) {
	t.Parallel()
	type call struct{ model, provider string }
	llm := says{"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.provider": "openai"}
	gpt := &call{"gpt-4o", "openai"}
	for name, tt := range map[string]struct {
		span, scope string
		says        says
		want        *call // nil if it is not a call
	}{
		"a method of Python's that counts nothing":     {"LM.__call__", "openinference.instrumentation.dspy", llm, gpt},
		"an asynchronous one":                          {"LM.__acall__", "openinference.instrumentation.dspy", llm, gpt},
		"a private one, which only prepares a call":    {"OpenAI._prepare_chat_with_tools", "openinference.instrumentation.llama_index", llm, nil},
		"a private one that counts":                    {"OpenAI._chat", "acme", llm.with(says{"llm.token_count.prompt": 5}), gpt},
		"counting tokens":                              {"messages.count_tokens", "openinference.instrumentation.anthropic", llm.with(says{"output.value": `{"input_tokens":14}`}), nil},
		"counting tokens, told as usage":               {"AsyncMessages.count_tokens", "acme", llm.with(says{"llm.token_count.prompt": 14}), nil},
		"counting tokens, as an operation":             {"count_tokens gemini-2.5-flash", "acme", says{"gen_ai.operation.name": "count_tokens", "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.usage.input_tokens": 14}, nil},
		"counting tokens, as a route":                  {"POST", "acme", says{"gen_ai.request.model": "gemini-2.5-flash", "gen_ai.provider.name": "gcp.gemini", "url.path": "/v1beta/models/gemini-2.5-flash:countTokens"}, nil},
		"an account of tokens":                         {"chat", "acme", llm.with(says{"metadata.account_token": "x"}), gpt},
		"one that failed before it said anything":      {"chat claude-sonnet-4-5", "openlit.instrumentation.anthropic", nil, &call{"claude-sonnet-4-5", "anthropic"}},
		"one that says only whose it is":               {"embeddings mistral-embed", "openlit.instrumentation.mistral", says{"gen_ai.conversation.id": "c1"}, &call{"mistral-embed", "mistral_ai"}},
		"one that failed before it named its provider": {"completion gpt-4o", "acme.java", says{"gen_ai.request.model": "gpt-4o", "gen_ai.request.temperature": 0.5}, &call{"gpt-4o", ""}},
		"a step that a model is a parameter of":        {"plan gpt-4o", "acme.java", says{"gen_ai.request.model": "gpt-4o"}, nil},
		"the same words of another model":              {"completion gpt-4o", "acme.java", says{"gen_ai.request.model": "gpt-5"}, nil},
		"the same words of something else":             {"chat room-12", "acme.chat", nil, nil},
		"the same words of a request":                  {"chat gpt-4o", "openlit.instrumentation.openai", says{"http.request.method": "POST"}, nil},
		"ADK's for Java that failed":                   {"call_llm", "gcp.vertex.agent", nil, &call{}},
		"an operation that invokes a model":            {"x", "acme", says{"gen_ai.operation.name": "invoke_model", "gen_ai.request.model": "gpt-4o", "gen_ai.system": "openai"}, gpt},
		"a provider that only the class names":         {"OpenAIEmbedding.get_text_embedding", "openinference.instrumentation.llama_index", says{"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small"}, &call{"text-embedding-3-small", "openai"}},
		"a provider that only the messages' form says": {"Completions", "mlflow.tracing.provider", says{"mlflow.spanType": `"CHAT_MODEL"`, "mlflow.llm.model": `"gpt-4o"`, "mlflow.message.format": `"openai"`}, gpt},
		"an endpoint of SageMaker's":                   {"sagemaker.completion", "opentelemetry.instrumentation.sagemaker", says{"gen_ai.request.model": "my-endpoint"}, &call{"my-endpoint", "sagemaker"}},
		"a request to vLLM":                            {"llm_request", "vllm.llm_engine", says{"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 7, "gen_ai.request.id": "cmpl-1"}, &call{"", "vllm"}},
		"a component of Haystack's":                    {"haystack.component.run", "haystack", says{"haystack.component.type": "AnthropicChatGenerator"}, &call{"", "anthropic"}},
		"a component that calls none":                  {"haystack.component.run", "haystack", says{"haystack.component.type": "PromptBuilder"}, nil},
		"an agent's call in Haystack":                  {"haystack.agent.step.llm", "haystack", says{"haystack.agent.step.llm.output": `{"replies": [{"role": "assistant", "meta": {"model": "gpt-4o", "usage": {"prompt_tokens": 5}}, "content": []}]}`}, &call{"gpt-4o", ""}},
		"a sum of tokens, by another name":             {"report", "acme", says{"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 7}, nil},
		"a gateway, which is nobody's":                 {"Completions", "openinference.instrumentation.portkey", says{"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}, &call{"gpt-4o", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			span := newSpan(1, 0, tt.says)
			span.Name, span.Kind = tt.span, tracepb.Span_SPAN_KIND_CLIENT
			export := exportOf(span)
			export.ResourceSpans[0].ScopeSpans[0].Scope.Name = tt.scope
			batch, _ := translated(t, export)
			var got *call
			for i := range batch.Executions {
				if e := &batch.Executions[i]; e.Kind == execution.Inference {
					got = &call{e.Model, e.Provider}
				}
			}
			switch {
			case got == nil && tt.want == nil:
			case got == nil || tt.want == nil || *got != *tt.want:
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestUsageInAnswers checks that a response adds usage that the attributes lack. Usage in text that a model wrote is
// ignored, as is usage that contradicts the attributes.
func TestUsageInAnswers(t *testing.T) {
	t.Parallel()
	openai := execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120}
	plain := execution.Tokens{Input: 100, Output: 20, Used: 120}
	counts := says{"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o", "llm.token_count.prompt": 100, "llm.token_count.completion": 20, "llm.token_count.total": 120}
	none := says{"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o"}
	const usage = `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}`
	const python = `usage=CompletionUsage(completion_tokens=20, prompt_tokens=100, total_tokens=120, completion_tokens_details=CompletionTokensDetails(reasoning_tokens=5, text_tokens=None), prompt_tokens_details=PromptTokensDetails(cached_tokens=40))`
	for name, tt := range map[string]struct {
		says says
		want execution.Tokens
	}{
		"the provider's":                    {none.with(says{"output.value": `{"id":"chatcmpl-1","choices":[{"message":{"content":"It's mild."}}],"usage":` + usage + `}`}), openai},
		"the provider's, with counts":       {counts.with(says{"output.value": `{"id":"chatcmpl-1","usage":` + usage + `}`}), openai},
		"LangChain's":                       {none.with(says{"output.value": `{"generations":[[{"text":"Mild.","message":{"kwargs":{"content":[],"usage_metadata":{"input_tokens":100,"output_tokens":20,"total_tokens":120,"input_token_details":{"cache_read":40},"output_token_details":{"reasoning":5}},"response_metadata":{"estimatedTokenUsage":{"promptTokens":1000,"completionTokens":2000}}}}}]]}`}), openai},
		"Gemini's":                          {none.with(says{"output.value": `{"candidates":[],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120}}`}), openai},
		"thinking that is not counted":      {none.with(says{"llm.token_count.prompt": 100, "llm.token_count.completion": 15, "output.value": `{"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120}}`}), openai},
		"MLflow's of an embedding":          {says{"mlflow.spanType": `"EMBEDDING"`, "mlflow.llm.model": `"text-embedding-3-small"`, "mlflow.spanOutputs": `{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":100,"total_tokens":100}}`}, execution.Tokens{Input: 100, Used: 100}},
		"MLflow's beside its own":           {says{"mlflow.spanType": `"CHAT_MODEL"`, "mlflow.llm.model": `"gpt-4o"`, "mlflow.chat.tokenUsage": `{"input_tokens":100,"output_tokens":20,"total_tokens":120,"cache_read_input_tokens":40}`, "mlflow.spanOutputs": `{"id":"chatcmpl-1","usage":` + usage + `}`}, openai},
		"in a text in Python's":             {counts.with(says{"output.value": `{"role":"assistant","content":"It is \"mild\".","raw":"ChatCompletion(id='c', choices=[Choice(message=ChatCompletionMessage(content='It\\'s', role=<Role.A: 'a'>))], at=datetime(2026, 1, 1, tzinfo=UTC), ` + python + `)"}`}), openai},
		"in texts of a list":                {counts.with(says{"output.value": `{"replies":["ChatMessage(_role=<ChatRole.ASSISTANT: 'assistant'>, _content=[TextContent(text='usage')], _meta={'index': 0, 'usage': {'completion_tokens': 20, 'prompt_tokens': 100, 'completion_tokens_details': {'reasoning_tokens': 5}, 'prompt_tokens_details': {'cached_tokens': 40, 'x': None}}})"]}`}), openai},
		"in a text, without counts":         {none.with(says{"output.value": `{"replies":["Answer(usage={'completion_tokens': 20, 'prompt_tokens': 100})"]}`}), execution.Tokens{}},
		"as much as was reported, in parts": {counts.with(says{"output.value": `{"usage":{"prompt_tokens":100,"completion_tokens":20}}`}), plain},
		"other counts":                      {counts.with(says{"output.value": `{"usage":{"prompt_tokens":100,"completion_tokens":9000,"prompt_tokens_details":{"cached_tokens":90}}}`}), plain},
		"in what the model wrote":           {none.with(says{"output.value": `{"content":{"usage":` + usage + `},"choices":[{"message":{"parsed":{"usage":` + usage + `},"tool_calls":[{"function":{"arguments":{"usage":` + usage + `}}}]}}]}`}), execution.Tokens{}},
		"in a text that the model says":     {none.with(says{"output.value": `{"output":"{\"usage\":{\"prompt_tokens\":100}}"}`}), execution.Tokens{}},
		"of something else":                 {none.with(says{"output.value": `{"memory_usage":{"total":100},"usage_limits":{"total_tokens":100},"usage":"see https://example.com"}`}), execution.Tokens{}},
		"cut off":                           {none.with(says{"output.value": `{"usage":` + usage + `,"choices":[{"mess`}), execution.Tokens{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(newSpan(1, 0, tt.says)))
			if len(batch.Executions) != 1 {
				t.Fatal(partial.GetErrorMessage())
			}
			if got := batch.Executions[0].Tokens; got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
