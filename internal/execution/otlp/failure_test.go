package otlp_test

import (
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestFailuresOfOtherStatuses checks spans whose status is unset or OK although they failed, since instrumentations
// report the failure in another way.
func TestFailuresOfOtherStatuses(t *testing.T) {
	t.Parallel()
	const (
		unset, ok, failed = tracepb.Status_STATUS_CODE_UNSET, tracepb.Status_STATUS_CODE_OK, tracepb.Status_STATUS_CODE_ERROR
		never             = time.Hour
	)
	limited := says{"exception.type": "openai.RateLimitError", "exception.message": "Error code: 429"}
	agent := says{"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"}
	bare := says{"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
	for name, tt := range map[string]struct {
		says          says
		code          tracepb.Status_StatusCode
		statusMessage string
		thrown        says
		before        time.Duration // before the span's end
		want          execution.Status
		error         string
	}{
		"an exception that a span of status OK ended with":   {says: agent, code: ok, thrown: limited, before: 20 * time.Microsecond, want: execution.Failure, error: "openai.RateLimitError: Error code: 429"},
		"an exception that is recorded after the end":        {says: bare, code: ok, thrown: limited, before: -50 * time.Millisecond, want: execution.Failure, error: "openai.RateLimitError: Error code: 429"},
		"an exception that a span of status OK went on from": {says: agent, code: ok, thrown: limited, before: time.Second, want: execution.Success},
		"an exception that an answer came after":             {says: agent.with(says{"output.value": "sunny"}), thrown: limited, before: time.Second, want: execution.Success},
		"an exception that no answer came after":             {says: agent, thrown: limited, before: time.Second, want: execution.Failure, error: "openai.RateLimitError: Error code: 429"},
		"an exception at the end of an answer":               {says: agent.with(says{"output.value": "sun"}), thrown: limited, want: execution.Failure, error: "openai.RateLimitError: Error code: 429"},
		"a time-out within an exception of another type": {
			says: bare, code: ok, thrown: says{"exception.type": "Exception", "exception.message": "OpenAITimeoutError('slow')Traceback (most recent call last):\n"},
			want: execution.Timeout, error: "Exception: OpenAITimeoutError('slow')Traceback (most recent call last):\n",
		},
		"a time-out that the status does not tell of": {
			says: bare, code: failed, statusMessage: "run status: error", thrown: says{"exception.type": "ModelProviderError", "exception.message": "Request timed out."},
			want: execution.Timeout, error: "ModelProviderError: run status: error",
		},
		"a stack in which a time-out is named": {
			says: bare, code: failed, thrown: says{"exception.type": "Exception", "exception.message": "no key\nTraceback (most recent call last):\n  raise APITimeoutError(request)"},
			want: execution.Failure, error: "Exception: no key\nTraceback (most recent call last):\n  raise APITimeoutError(request)",
		},
		"a time-out that a signal gave up for": {
			says: bare, code: failed, statusMessage: "run failed", thrown: says{"exception.type": "Error", "exception.message": "The operation was aborted due to timeout"},
			want: execution.Timeout, error: "Error: run failed",
		},
		"a value of a setting that is no time-out": {
			says: bare, code: failed, statusMessage: "invalid due to timeouts", thrown: says{"exception.type": "Error"}, want: execution.Failure, error: "Error: invalid due to timeouts",
		},
		"a run that waits for somebody":            {says: agent, code: failed, statusMessage: "GraphInterrupt((Interrupt(value='ok?'),))Traceback (most recent call last):\n", thrown: says{"exception.type": "GraphInterrupt", "exception.message": "(Interrupt(value='ok?'),)"}, want: execution.Success},
		"a run that waits, as text":                {says: agent, code: failed, statusMessage: "GraphInterrupt((Interrupt(value='ok?'),))", want: execution.Success, before: never},
		"a run that waits, as type":                {says: agent.with(says{"error.type": "langgraph.errors.NodeInterrupt"}), code: failed, want: execution.Success, before: never},
		"a graph that hands over":                  {says: agent, code: failed, statusMessage: "ParentCommand(Command(goto='clerk'))", want: execution.Success, before: never},
		"a flow that waits":                        {says: agent, code: failed, thrown: says{"exception.type": "crewai.flow.async_feedback.types.HumanFeedbackPending"}, want: execution.Success},
		"a tool that waits":                        {says: agent, code: failed, thrown: says{"exception.type": "pydantic_ai.exceptions.ApprovalRequired"}, want: execution.Success},
		"an application's error of that name":      {says: agent, code: failed, thrown: says{"exception.type": "shop.ApprovalRequired"}, want: execution.Failure, error: "shop.ApprovalRequired"},
		"an interrupt of a user's":                 {says: agent, code: failed, thrown: says{"exception.type": "KeyboardInterrupt"}, want: execution.Failure, error: "KeyboardInterrupt"},
		"a guardrail that stopped a run":           {says: agent, code: failed, thrown: says{"exception.type": "agents.exceptions.InputGuardrailTripwireTriggered", "exception.message": "tripped"}, want: execution.Failure, error: "agents.exceptions.InputGuardrailTripwireTriggered: tripped"},
		"a deadline of gRPC":                       {says: bare, code: failed, statusMessage: "504 Deadline Exceeded", thrown: says{"exception.type": "google.api_core.exceptions.DeadlineExceeded"}, want: execution.Timeout, error: "google.api_core.exceptions.DeadlineExceeded: 504 Deadline Exceeded"},
		"a time-out of httpx, wrapped":             {says: bare, code: failed, statusMessage: "litellm.Timeout: APITimeoutError - Request timed out.", want: execution.Timeout, error: "litellm.Timeout: APITimeoutError - Request timed out.", before: never},
		"a time-out of Bedrock's":                  {says: bare.with(says{"error.type": "ModelTimeoutException"}), code: failed, want: execution.Timeout, error: "ModelTimeoutException", before: never},
		"a status of HTTP":                         {says: bare.with(says{"error.type": "504"}), code: failed, want: execution.Timeout, error: "504", before: never},
		"a stream that its reader closed":          {says: bare, code: failed, statusMessage: "GeneratorExit: ", thrown: says{"exception.type": "GeneratorExit", "exception.message": ""}, want: execution.Success},
		"a stream that its reader closed, as type": {says: bare.with(says{"error.type": "builtins.GeneratorExit"}), code: failed, want: execution.Success, before: never},
		"a stream that its reader closed, as text": {says: bare, code: failed, statusMessage: "GeneratorExit()", want: execution.Success, before: never},
		"a stream that its reader abandoned":       {says: bare.with(says{"error.type": "_OTHER"}), code: failed, statusMessage: "abandoned stream", want: execution.Success, before: never},
		"a stream that was abandoned, as type":     {says: bare, code: failed, statusMessage: "gone", thrown: says{"exception.type": "opentelemetry.util.genai.stream.AbandonedStreamError"}, want: execution.Success},
		"a task that was cancelled and went well":  {says: agent, code: ok, thrown: says{"exception.type": "asyncio.exceptions.CancelledError"}, want: execution.Success},
		"a task that was cancelled":                {says: agent, code: failed, thrown: says{"exception.type": "asyncio.exceptions.CancelledError"}, want: execution.Failure, error: "asyncio.exceptions.CancelledError"},
		"a stream that a server abandoned":         {says: bare, code: failed, statusMessage: "upstream abandoned stream 7", want: execution.Failure, error: "upstream abandoned stream 7", before: never},
		"an error of a stream that was closed too": {says: bare, code: failed, statusMessage: "GeneratorExit: ", thrown: limited, want: execution.Failure, error: "openai.RateLimitError: GeneratorExit"},
		"a time-out that is the cause of others": {
			says: bare, code: failed, statusMessage: "no answer", want: execution.Timeout, error: "RestClientException: no answer",
			thrown: says{"exception.type": "RestClientException", "exception.stacktrace": "RestClientException: no answer\n\tat A.b(A.java:1)\nCaused by: java.net.SocketTimeoutException: Read timed out\n\tat C.d(C.java:2)\n"},
		},
		"a time-out by which the call was cancelled": {
			says: bare, code: failed, statusMessage: "Request failed", want: execution.Timeout, error: "com.openai.errors.OpenAIIoException: Request failed",
			thrown: says{"exception.type": "com.openai.errors.OpenAIIoException", "exception.stacktrace": "com.openai.errors.OpenAIIoException: Request failed\n\tat A.b(A.java:1)\nCaused by: java.io.InterruptedIOException: timeout\n\tat C.d(C.java:2)\nCaused by: java.io.IOException: Canceled\n\tat C.d(C.java:2)\n"},
		},
		"a call that was cancelled": {
			says: bare, code: failed, statusMessage: "Request failed", want: execution.Failure, error: "com.openai.errors.OpenAIIoException: Request failed",
			thrown: says{"exception.type": "com.openai.errors.OpenAIIoException", "exception.stacktrace": "com.openai.errors.OpenAIIoException: Request failed\nCaused by: java.io.IOException: Canceled\n"},
		},
		"a time-out that has a cause itself": {
			says: bare, code: failed, statusMessage: "no answer", want: execution.Failure, error: "RestClientException: no answer",
			thrown: says{"exception.type": "RestClientException", "exception.stacktrace": "RestClientException\nCaused by: PoolTimeoutException\nCaused by: java.net.ConnectException: refused\n\tat timedOut(C.java:2)\n"},
		},
		"a call that finished in an error":            {says: bare.with(says{"gen_ai.response.finish_reasons": []any{"error"}}), code: ok, want: execution.Failure, before: never},
		"a call that finished in an error, as text":   {says: bare.with(says{"gen_ai.response.finish_reasons": `["error"]`}), want: execution.Failure, before: never},
		"a call of the AI SDK that finished in one":   {says: bare.with(says{"ai.response.finishReason": "error"}), want: execution.Failure, before: never},
		"a call that finished for a reason not known": {says: bare.with(says{"gen_ai.response.finish_reasons": []any{"error"}, "gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 1}), want: execution.Success, before: never},
		"a run whose message finished in an error": {
			says: agent.with(says{"gen_ai.output.messages": `[{"role":"assistant","parts":[{"content":"Rate limit reached","type":"text"}],"finish_reason": "error"}]`}),
			want: execution.Failure, before: never,
		},
		"a run one of whose messages finished in one": {
			says: agent.with(says{"gen_ai.output.messages": `[{"role":"assistant","finish_reason":"error"},{"role":"assistant","finish_reason":"stop"}]`}),
			want: execution.Success, before: never,
		},
		"a run whose message quotes one": {
			says: agent.with(says{"gen_ai.output.messages": `[{"role":"assistant","parts":[{"content":"{\"finish_reason\":\"error\"}"}],"finish_reason":"stop"}]`}),
			want: execution.Success, before: never,
		},
		"a call that finished for two reasons":         {says: bare.with(says{"gen_ai.response.finish_reasons": []any{"stop", "error"}}), want: execution.Success, before: never},
		"a tool that returned the word error":          {says: says{"gen_ai.operation.name": "execute_tool", "gen_ai.response.finish_reasons": []any{"error"}}, want: execution.Success, before: never},
		"a state of Genkit":                            {says: says{"genkit:metadata:subtype": "tool", "genkit:state": "error"}, want: execution.Failure, before: never},
		"a level of Langfuse":                          {says: says{"langfuse.observation.type": "agent", "langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "no"}, want: execution.Failure, error: "no", before: never},
		"a level of Langfuse that only warns":          {says: says{"langfuse.observation.type": "agent", "langfuse.observation.level": "WARNING"}, want: execution.Success, before: never},
		"an error's type of Micrometer that says none": {says: bare.with(says{"error.type": "none"}), want: execution.Success, before: never},
		"an error that is a text":                      {says: agent.with(says{"error": `{"message":"Error in agent run","data":{"error":"Request timed out."}}`}), code: failed, want: execution.Timeout, error: `{"message":"Error in agent run","data":{"error":"Request timed out."}}`, before: never},
		"an error that is a flag":                      {says: bare.with(says{"error": true}), want: execution.Failure, before: never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpan(1, 0, tt.says)
			s.Status = &tracepb.Status{Code: tt.code, Message: tt.statusMessage}
			if tt.before != never {
				thrown := event("exception", tt.thrown)
				thrown.TimeUnixNano = uint64(int64(s.GetEndTimeUnixNano()) - tt.before.Nanoseconds())
				s.Events = append(s.Events, thrown)
			}
			if got := one(t, s); got.Status != tt.want || got.ErrorMessage != tt.error {
				t.Errorf("%s %q, not %s %q", got.Status, got.ErrorMessage, tt.want, tt.error)
			}
		})
	}
}

// TestSpanOutcomes checks the stored status of spans, which determines that of the runs around them.
func TestSpanOutcomes(t *testing.T) {
	t.Parallel()
	agent := says{"gen_ai.operation.name": "invoke_agent"}
	for name, tt := range map[string]struct {
		says   says
		parent byte
		code   tracepb.Status_StatusCode
		want   execution.Status
	}{
		"a run that says nothing":            {says: agent, want: ""},
		"a run of status OK":                 {says: agent, code: tracepb.Status_STATUS_CODE_OK, want: execution.Success},
		"a run with an answer":               {says: agent.with(says{"output.value": "sunny"}), want: execution.Success},
		"a run that failed":                  {says: agent, code: tracepb.Status_STATUS_CODE_ERROR, want: execution.Failure},
		"a call that says nothing":           {says: says{"gen_ai.operation.name": "chat"}, want: execution.Success},
		"a span of another kind":             {parent: 2, want: ""},
		"a span of another kind that failed": {code: tracepb.Status_STATUS_CODE_ERROR, want: execution.Failure},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpan(1, tt.parent, tt.says)
			s.Status = &tracepb.Status{Code: tt.code}
			if got, _ := translated(t, exportOf(s)); len(got.Spans) != 1 || got.Spans[0].Status != tt.want {
				t.Errorf("%+v, not %q", got.Spans, tt.want)
			}
		})
	}
}
