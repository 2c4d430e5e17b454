package otlp_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/otlp"
)

func TestWhatIsKnownOfUsage(t *testing.T) {
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
		"failed, and told":                 {says: says{"gen_ai.usage.input_tokens": 3}, status: failed, want: reported},
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

func TestWhereAModelRan(t *testing.T) {
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

// What an instrumentation keeps beside the count of input shows when the provider's own object comes as a list of values.
func TestUsageAsAListOfValues(t *testing.T) {
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

func TestCountsThatAreNotKnownAreNamed(t *testing.T) {
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
