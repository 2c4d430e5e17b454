package otlp_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
)

func TestUsageCompleteness(t *testing.T) {
	t.Parallel()
	const unknown, reported, none = execution.UsageUnknown, execution.UsageReported, execution.UsageNone
	failed := &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "429"}
	for name, tt := range map[string]struct {
		says   says
		status *tracepb.Status
		want   execution.Usage
	}{
		"a stream that does not tell":      {says: says{}, want: unknown},
		"counts":                           {says: says{"gen_ai.usage.output_tokens": 3}, want: reported},
		"zeros":                            {says: says{"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, want: unknown},
		"refused":                          {says: says{"error.type": "RateLimitError"}, status: failed, want: none},
		"out of time":                      {says: says{"error.type": "APITimeoutError"}, status: failed, want: unknown},
		"broken off after the first words": {says: says{"gen_ai.output.messages": `[{"role":"assistant","parts":[{"type":"text","content":"He"}]}]`}, status: failed, want: unknown},
		"broken off, without content":      {says: says{"gen_ai.response.id": "r-1"}, status: failed, want: unknown},
		"failed, and told":                 {says: says{"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 1}, status: failed, want: reported},
		"failed, and the total told":       {says: says{"gen_ai.usage.total_tokens": 3}, status: failed, want: reported},
		"failed, and the input told":       {says: says{"gen_ai.usage.input_tokens": 3}, status: failed, want: unknown},
		"failed, and no output told":       {says: says{"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 0}, status: failed, want: unknown},
		"out of time, and the input told":  {says: says{"gen_ai.usage.input_tokens": 3, "error.type": "APITimeoutError"}, status: failed, want: unknown},
		"an embedding":                     {says: says{"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 3}, want: reported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			span := newSpan(1, 0, chat.with(tt.says))
			span.Status = tt.status
			batch, _ := translated(t, exportOf(span))
			if got := batch.Executions[0].Usage; got != tt.want {
				t.Errorf("usage %q, want %q", got, tt.want)
			}
		})
	}
}

func TestModelHost(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		says, resource says
		want           string
	}{
		"Bedrock's server":          {says{"gen_ai.provider.name": "aws.bedrock", "server.address": "bedrock-runtime.eu-west-1.amazonaws.com"}, says{"cloud.region": "us-east-1"}, "eu-west-1"},
		"the process, for Bedrock":  {says{"gen_ai.provider.name": "aws.bedrock", "server.address": "127.0.0.1"}, says{"cloud.region": "US-East-1"}, "us-east-1"},
		"the span, for Bedrock":     {says{"gen_ai.provider.name": "aws.bedrock", "cloud.region": "eu-central-1"}, says{"cloud.region": "us-east-1"}, "eu-central-1"},
		"Vertex's server":           {says{"gen_ai.provider.name": "gcp.vertex_ai", "server.address": "europe-west4-aiplatform.googleapis.com"}, nil, "europe-west4"},
		"the process, not OpenAI's": {says{"gen_ai.provider.name": "openai", "server.address": "api.openai.com"}, says{"cloud.region": "us-east-1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			export := exportOf(newSpan(1, 0, chat.with(tt.says)))
			export.ResourceSpans[0].Resource = &resourcepb.Resource{Attributes: tt.resource.pairs()}
			batch, _ := translated(t, export)
			if got := batch.Executions[0].Billing.Region; got != tt.want {
				t.Errorf("region %q, want %q", got, tt.want)
			}
		})
	}
}

// TestUsageAsArrayValue checks a provider's usage object that arrives as a list of values: it shows what an
// instrumentation counts separately from the input.
func TestUsageAsArrayValue(t *testing.T) {
	t.Parallel()
	batch, _ := translated(t, exportOf(newSpan(1, 0, chat.with(says{
		"gen_ai.usage.input_tokens": 60, "gen_ai.usage.output_tokens": 20,
		"acme.response.usage": says{"input_tokens": 60, "output_tokens": 20, "cache_read_input_tokens": 40, "cache_creation_input_tokens": 10},
	}))))
	want := execution.Tokens{Input: 110, Output: 20, CacheRead: 40, CacheWrite: 10, Used: 130}
	if got := batch.Executions[0].Tokens; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestUnknownCountsAreReported(t *testing.T) {
	t.Parallel()
	var names []string
	traces := otlp.New(otlp.Options{Ledger: &ledger{}, UnreadCount: func(name string) { names = append(names, name) }})
	body, err := proto.Marshal(exportOf(newSpan(1, 0, chat.with(says{
		"acme.usage.mystery_tokens": 5, "acme.usage.none_tokens_mystery": 0, "acme.usage.raw": `{"prompt_tokens":1,"riddle_tokens":2}`,
	}))))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, answer := traces.Export(t.Context(), http.Header{"Content-Type": {protobufType}}, bytes.NewReader(body)); status != http.StatusOK {
		t.Fatalf("answered %d: %s", status, answer)
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"acme.usage.mystery_tokens", "acme.usage.raw.riddle_tokens"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLibraryUsage checks attributes that libraries set in addition to, or instead of, the conventions' counts.
func TestLibraryUsage(t *testing.T) {
	t.Parallel()
	openai := execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120}
	anthropic := execution.Tokens{Input: 110, Output: 20, CacheRead: 40, CacheWrite: 10, Used: 130}
	for name, tt := range map[string]struct {
		says says
		want execution.Tokens
	}{
		"ADK for JavaScript": {says{
			"gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 15,
			"gcp.vertex.agent.llm_response": `{"content":{"parts":[{"text":"{\"usage\":{\"input_tokens\":9}}"},{"functionCall":{"args":{"usage":{"input_tokens":900}}}}]},"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120}}`,
		}, openai},
		"Genkit": {says{
			"gen_ai.request.model": "gpt-4o", "genkit:metadata:subtype": "model",
			"genkit:output": `{"message":{"role":"model","content":[{"text":"Mild."}]},"finishReason":"stop","usage":{"inputTokens":100,"outputTokens":15,"totalTokens":120,"thoughtsTokens":5,"cachedContentTokens":40},"latencyMs":12}`,
		}, openai},
		"Langfuse, by hand":       {says{"langfuse.observation.usage_details": `{"input":60,"output":15,"input_cached_tokens":40,"output_reasoning_tokens":5}`}, openai},
		"Langfuse, with a total":  {says{"langfuse.observation.usage_details": `{"input":60,"output":15,"total":120,"input_cached_tokens":40,"output_reasoning_tokens":5}`}, openai},
		"Langfuse, of its OpenAI": {says{"langfuse.observation.usage_details": `{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,"prompt_tokens_details":{"cached_tokens":40},"completion_tokens_details":{"reasoning_tokens":5}}`}, openai},
		"LangSmith": {says{
			"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.total_tokens": 120,
			"gen_ai.usage.input_token_details": `{"cache_read":40}`, "gen_ai.usage.output_token_details": `{"reasoning":5}`,
		}, openai},
		"LiteLLM, of Anthropic": {says{
			"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.total_tokens": 130,
			"llm.anthropic.usage":   `{'input_tokens': 60, 'cache_read_input_tokens': 40, 'cache_creation_input_tokens': 10, 'cache_creation': {'ephemeral_5m_input_tokens': 10}, 'output_tokens': 20, 'service_tier': 'standard'}`,
			"metadata.usage_object": `Usage(completion_tokens=20, prompt_tokens=110, total_tokens=130, completion_tokens_details=None, prompt_tokens_details=PromptTokensDetailsWrapper(audio_tokens=None, cached_tokens=40), cache_creation_input_tokens=10, cache_read_input_tokens=40)`,
		}, anthropic},
		"Logfire, of Anthropic": {says{
			"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20,
			"gen_ai.usage.raw": `{"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":10},"cache_creation_input_tokens":10,"cache_read_input_tokens":40,"input_tokens":60,"output_tokens":20,"server_tool_use":null}`,
		}, anthropic},
		"the AI SDK, version 6": {says{
			"ai.usage.inputTokens": 110, "ai.usage.outputTokens": 20, "ai.usage.totalTokens": 130, "ai.usage.inputTokenDetails.noCacheTokens": 60,
			"ai.usage.inputTokenDetails.cacheReadTokens": 40, "ai.usage.inputTokenDetails.cacheWriteTokens": 10, "ai.usage.outputTokenDetails.textTokens": 20,
			"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20,
		}, anthropic},
		"an agent's totals beside": {says{"gen_ai.usage.input_tokens": 110, "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_write.input_tokens": 10, "gen_ai.aggregated_usage.input_tokens": 900}, anthropic},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(newSpan(1, 0, chat.with(tt.says))))
			if len(batch.Executions) != 1 {
				t.Fatal(partial.GetErrorMessage())
			}
			if got := batch.Executions[0].Tokens; got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
