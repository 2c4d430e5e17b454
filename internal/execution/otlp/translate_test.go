package otlp_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		says says
		want execution.Tokens
		bad  string // the attribute named in the fault
	}{
		"none":                              {},
		"as texts":                          {says: says{"gen_ai.usage.input_tokens": "40", "gen_ai.usage.output_tokens": " 10 "}, want: execution.Tokens{Input: 40, Output: 10, Used: 50}},
		"as doubles":                        {says: says{"gen_ai.usage.input_tokens": 40.0, "gen_ai.usage.output_tokens": "1e1"}, want: execution.Tokens{Input: 40, Output: 10, Used: 50}},
		"a total alone":                     {says: says{"llm.usage.total_tokens": 50}, want: execution.Tokens{Used: 50}},
		"a total that does not add up":      {says: says{"gen_ai.usage.input_tokens": 40, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.total_tokens": 99}, want: execution.Tokens{Input: 40, Output: 10, Used: 99}},
		"a total that says the rest":        {says: says{"gen_ai.usage.input_tokens": 40, "gen_ai.usage.total_tokens": 99}, want: execution.Tokens{Input: 40, Output: 59, Used: 99}},
		"the first name counts":             {says: says{"gen_ai.usage.input_tokens": 40, "gen_ai.usage.prompt_tokens": 41, "ai.usage.inputTokens": 42}, want: execution.Tokens{Input: 40, Used: 40}},
		"a name that says nothing does not": {says: says{"gen_ai.usage.input_tokens": nil, "gen_ai.usage.prompt_tokens": "", "ai.usage.inputTokens": 42}, want: execution.Tokens{Input: 42, Used: 42}},
		"nor one that is not a number":      {says: says{"ai.usage.promptTokens": math.NaN(), "ai.usage.completionTokens": "NaN", "ai.usage.totalTokens": 50}, want: execution.Tokens{Used: 50}},
		"cached ones included":              {says: says{"gen_ai.usage.input_tokens": 40, "gen_ai.usage.cache_read.input_tokens": 30, "gen_ai.usage.cache_creation.input_tokens": 10}, want: execution.Tokens{Input: 40, CacheRead: 30, CacheWrite: 10, Used: 40}},
		"cached ones not included":          {says: says{"gen_ai.usage.input_tokens": 4, "gen_ai.usage.cache_read_input_tokens": 30, "gen_ai.usage.cache_creation_input_tokens": 10}, want: execution.Tokens{Input: 44, CacheRead: 30, CacheWrite: 10, Used: 44}},
		"reasoning not included":            {says: says{"gen_ai.usage.output_tokens": 4, "gen_ai.usage.reasoning_tokens": 30}, want: execution.Tokens{Output: 34, Reasoning: 30, Used: 34}},
		"as many as there may be":           {says: says{"gen_ai.usage.input_tokens": 1_000_000_000}, want: execution.Tokens{Input: 1_000_000_000, Used: 1_000_000_000}},
		"negative":                          {says: says{"gen_ai.usage.input_tokens": 1, "gen_ai.usage.completion_tokens": -1}, bad: "gen_ai.usage.completion_tokens"},
		"negative, as a text":               {says: says{"ai.usage.inputTokens": "-1"}, bad: "ai.usage.inputTokens"},
		"too many":                          {says: says{"gen_ai.usage.input_tokens": 1_000_000_001}, bad: "gen_ai.usage.input_tokens"},
		"more than an int64 holds":          {says: says{"gen_ai.usage.input_tokens": "9223372036854775808"}, bad: "gen_ai.usage.input_tokens"},
		"the largest int64":                 {says: says{"gen_ai.usage.output_tokens": math.MaxInt64}, bad: "gen_ai.usage.output_tokens"},
		"the smallest int64":                {says: says{"gen_ai.usage.output_tokens": math.MinInt64}, bad: "gen_ai.usage.output_tokens"},
		"infinitely many":                   {says: says{"llm.token_count.prompt": math.Inf(1)}, bad: "llm.token_count.prompt"},
		"infinitely many, as a text":        {says: says{"llm.token_count.prompt": "1e999"}, bad: "llm.token_count.prompt"},
		"infinitely few":                    {says: says{"llm.token_count.prompt": math.Inf(-1)}, bad: "llm.token_count.prompt"},
		"half a one":                        {says: says{"gen_ai.usage.reasoning_tokens": 0.5}, bad: "gen_ai.usage.reasoning_tokens"},
		"a word":                            {says: says{"gen_ai.usage.cache_read_input_tokens": "some"}, bad: "gen_ai.usage.cache_read_input_tokens"},
		"a list":                            {says: says{"gen_ai.usage.input_tokens": []any{1}}, bad: "gen_ai.usage.input_tokens"},
		"a boolean":                         {says: says{"gen_ai.usage.total_tokens": true}, bad: "gen_ai.usage.total_tokens"},
		"too many with the cached ones":     {says: says{"gen_ai.usage.input_tokens": 900_000_000, "gen_ai.usage.cache_read_input_tokens": 950_000_000}, bad: "gen_ai.usage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(newSpan(1, 0, chat.with(tt.says)), newSpan(2, 0, chat)))
			if tt.bad != "" {
				if want := "span " + first + ": " + tt.bad + " "; partial.GetRejectedSpans() != 1 || !strings.HasPrefix(partial.GetErrorMessage(), want) {
					t.Errorf("%d rejected: %q, which does not begin with %q", partial.GetRejectedSpans(), partial.GetErrorMessage(), want)
				}
				if len(batch.Executions) != 1 || len(batch.Spans) != 1 {
					t.Errorf("%d executions and %d spans are left", len(batch.Executions), len(batch.Spans))
				}
				return
			}
			if len(batch.Executions) != 2 {
				t.Fatal(partial.GetErrorMessage())
			}
			if got := batch.Executions[0].Tokens; got != tt.want {
				t.Errorf("%+v, not %+v", got, tt.want)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	const ok, failed = tracepb.Status_STATUS_CODE_OK, tracepb.Status_STATUS_CODE_ERROR
	long := strings.Repeat("ä", execution.MaxErrorMessage)
	for name, tt := range map[string]struct {
		code    tracepb.Status_StatusCode
		message string
		says    says
		thrown  says // attributes of the exception event
		want    execution.Status
		error   string
	}{
		"no status":                       {want: execution.Success},
		"a good one":                      {code: ok, message: "fine", want: execution.Success},
		"an error":                        {code: failed, want: execution.Failure},
		"an error with a message":         {code: failed, message: "no such model", want: execution.Failure, error: "no such model"},
		"an error's type alone":           {says: says{"error.type": "RateLimitError"}, want: execution.Failure, error: "RateLimitError"},
		"an error's type as a number":     {says: says{"error.type": 429}, want: execution.Failure, error: "429"},
		"a type and a message":            {code: failed, message: "slow down", says: says{"error.type": "429"}, want: execution.Failure, error: "429: slow down"},
		"a type that the message says":    {code: failed, message: "ValueError: no", says: says{"error.type": "ValueError"}, want: execution.Failure, error: "ValueError: no"},
		"a type of none":                  {code: failed, message: "no", says: says{"error.type": "_OTHER"}, want: execution.Failure, error: "no"},
		"an exception":                    {code: failed, thrown: says{"exception.type": "ValueError", "exception.message": "no", "exception.stacktrace": "at …"}, want: execution.Failure, error: "ValueError: no"},
		"an attribute with the message":   {code: failed, says: says{"error.message": "no"}, want: execution.Failure, error: "no"},
		"an exception that was got over":  {code: ok, thrown: says{"exception.type": "ValueError"}, want: execution.Success},
		"timeout":                         {says: says{"error.type": "timeout"}, want: execution.Timeout, error: "timeout"},
		"TimeoutError":                    {says: says{"error.type": "TimeoutError"}, want: execution.Timeout, error: "TimeoutError"},
		"openai.APITimeoutError":          {says: says{"error.type": "openai.APITimeoutError"}, want: execution.Timeout, error: "openai.APITimeoutError"},
		"ETIMEDOUT":                       {says: says{"error.type": "ETIMEDOUT"}, want: execution.Timeout, error: "ETIMEDOUT"},
		"DEADLINE_EXCEEDED":               {says: says{"error.type": "DEADLINE_EXCEEDED"}, want: execution.Timeout, error: "DEADLINE_EXCEEDED"},
		"context.deadlineExceededError":   {says: says{"error.type": "context.deadlineExceededError"}, want: execution.Timeout, error: "context.deadlineExceededError"},
		"504":                             {says: says{"error.type": "504"}, want: execution.Timeout, error: "504"},
		"408, as a number":                {says: says{"error.type": 408}, want: execution.Timeout, error: "408"},
		"a timeout that was thrown":       {code: failed, thrown: says{"exception.type": "httpx.ReadTimeout", "exception.message": "The read operation timed out"}, want: execution.Timeout, error: "httpx.ReadTimeout: The read operation timed out"},
		"a message alone: deadline":       {code: failed, message: "Post …: context deadline exceeded", want: execution.Timeout, error: "Post …: context deadline exceeded"},
		"a message alone: timed out":      {code: failed, message: "Request timed out.", want: execution.Timeout, error: "Request timed out."},
		"a message that only sounds so":   {code: failed, message: "bad runtime output", want: execution.Failure, error: "bad runtime output"},
		"a type that only sounds so":      {says: says{"error.type": "RuntimeOutputError"}, want: execution.Failure, error: "RuntimeOutputError"},
		"another type than a timeout":     {code: failed, message: "timeout must be positive", says: says{"error.type": "ValueError"}, want: execution.Failure, error: "ValueError: timeout must be positive"},
		"a message with a NUL":            {code: failed, message: "a\x00b\nc", want: execution.Failure, error: "a\uFFFDb\nc"},
		"a message that is much too long": {code: failed, message: long, want: execution.Failure, error: long[:execution.MaxErrorMessage-34] + " … (cut; it had 16384 bytes)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpan(1, 0, chat.with(tt.says))
			s.Status = &tracepb.Status{Code: tt.code, Message: tt.message}
			if tt.thrown != nil {
				s.Events = []*tracepb.Span_Event{event("exception", says{"exception.type": "an earlier one"}), event("exception", tt.thrown), event("retry", nil)}
			}
			got := one(t, s)
			if got.Status != tt.want {
				t.Errorf("%s, not %s", got.Status, tt.want)
			}
			if len(tt.error) > 1000 { // the exact length does not matter
				if len(got.ErrorMessage) > execution.MaxErrorMessage || !strings.HasSuffix(got.ErrorMessage, " … (cut; it had 16384 bytes)") {
					t.Errorf("%d bytes: …%s", len(got.ErrorMessage), got.ErrorMessage[len(got.ErrorMessage)-40:])
				}
				return
			}
			if got.ErrorMessage != tt.error {
				t.Errorf("%q, not %q", got.ErrorMessage, tt.error)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*tracepb.Span)
		says   string
	}{
		"no trace id":           {func(s *tracepb.Span) { s.TraceId = nil }, "span " + first + ": trace_id has the wrong length"},
		"a trace id of zeros":   {func(s *tracepb.Span) { s.TraceId = make([]byte, 16) }, "span " + first + ": trace_id is all zeros"},
		"a short trace id":      {func(s *tracepb.Span) { s.TraceId = s.TraceId[:15] }, "span " + first + ": trace_id has the wrong length"},
		"no span id":            {func(s *tracepb.Span) { s.SpanId = nil }, "span without an id: span_id has the wrong length"},
		"a span id of zeros":    {func(s *tracepb.Span) { s.SpanId = make([]byte, 8) }, "span 0000000000000000: span_id is all zeros"},
		"a long span id":        {func(s *tracepb.Span) { s.SpanId = bytes.Repeat([]byte{1}, 9000) }, "span " + strings.Repeat("01", 16) + ": span_id has the wrong length"},
		"a short parent id":     {func(s *tracepb.Span) { s.ParentSpanId = []byte{1} }, "span " + first + ": parent_span_id has the wrong length"},
		"itself for a parent":   {func(s *tracepb.Span) { s.ParentSpanId = s.SpanId }, "span " + first + ": parent_span_id is the span's own"},
		"zeros for a parent id": {func(s *tracepb.Span) { s.ParentSpanId = make([]byte, 8) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for what, attributes := range map[string]says{"an execution": chat, "another": {}} {
				s := newSpan(1, 0, attributes)
				tt.change(s)
				batch, partial := translated(t, exportOf(s))
				if partial.GetErrorMessage() != tt.says {
					t.Errorf("%s: %q, not %q", what, partial.GetErrorMessage(), tt.says)
				}
				if wanted := tt.says == "" && len(attributes) > 0; wanted != (len(batch.Executions) == 1) || wanted != (len(batch.Spans) == 1) {
					t.Errorf("%s: %d executions, %d spans", what, len(batch.Executions), len(batch.Spans))
				}
			}
		})
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	at := uint64(noon.UnixNano())
	for name, tt := range map[string]struct {
		start, end uint64
		began      time.Time
		took       time.Duration
		bad        string
	}{
		"to the microsecond":   {start: at + 1_999, end: at + 5_998, began: noon.Add(time.Microsecond), took: 3 * time.Microsecond},
		"the end at the start": {start: at, end: at, began: noon},
		"before the start":     {start: at, end: at - 1, began: noon},
		"never":                {start: at, began: noon},
		"after thirty days":    {start: at, end: at + uint64(30*24*time.Hour), began: noon, took: 30 * 24 * time.Hour},
		"after even longer":    {start: at, end: at + uint64(30*24*time.Hour) + 1000, bad: "end_time_unix_nano is more than 30 days after the start"},
		"with the world":       {start: at, end: math.MaxUint64, bad: "end_time_unix_nano"},
		"a start at no time":   {end: 1, bad: "start_time_unix_nano is longer ago"},
		"a start tomorrow":     {start: at + uint64(24*time.Hour), bad: "start_time_unix_nano is more than 10m in the future"},
		"a start after 2262":   {start: math.MaxInt64 + 1, bad: "start_time_unix_nano is more than 10m in the future"},
		"a start after it all": {start: math.MaxUint64, bad: "start_time_unix_nano is more than 10m in the future"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpan(1, 0, chat)
			s.StartTimeUnixNano, s.EndTimeUnixNano = tt.start, tt.end
			batch, partial := translated(t, exportOf(s))
			if tt.bad != "" {
				if !strings.HasPrefix(partial.GetErrorMessage(), "span "+first+": "+tt.bad) || partial.GetRejectedSpans() != 1 {
					t.Errorf("%d rejected: %s", partial.GetRejectedSpans(), partial.GetErrorMessage())
				}
				return
			}
			if e := batch.Executions[0]; !e.CreatedAt.Equal(tt.began) || e.Duration != tt.took {
				t.Errorf("at %s for %s", e.CreatedAt, e.Duration)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", execution.MaxUser) // twice as many bytes
	names := make(map[string]string)
	for name, tt := range map[string]struct{ given, want string }{
		"one of 256 bytes":       {given: long[:execution.MaxUser], want: long[:execution.MaxUser]},
		"a long one":             {given: long},
		"another":                {given: long + "ö"},
		"with control character": {given: "a\nb\x00c\x7f", want: "a\uFFFDb\uFFFDc\uFFFD"},
		"in no UTF-8":            {given: "a\xffb", want: "a\uFFFDb"},
		"a blank one":            {given: " \n", want: execution.Unknown},
		"none":                   {given: "", want: execution.Unknown},
		"with a blank":           {given: " ada ", want: " ada "},
	} {
		body := inBody(t, chat, "user.id", tt.given)
		l := &ledger{}
		if partial := post(t, l, headerOf(protobufType), body).partial(t); partial != nil || len(l.batch.Executions) != 1 {
			t.Errorf("%s: %v", name, partial)
			continue
		}
		got := l.batch.Executions[0].UserID
		names[name] = got
		if tt.want != "" && got != tt.want {
			t.Errorf("%s: %q, not %q", name, got, tt.want)
		}
		if place := l.batch.Spans[0].User; (place == "") != (got == execution.Unknown) {
			t.Errorf("%s: the place in the trace has %q", name, place)
		}
	}
	if one, other := names["a long one"], names["another"]; one == other || !strings.HasPrefix(other, "äää") || !strings.Contains(other, "~") || len(one) > execution.MaxUser {
		t.Errorf("%q and %q", one, other)
	}
}

// inBody returns an export with an attribute that may be invalid UTF-8.
func inBody(t *testing.T, attributes says, name, value string) []byte {
	t.Helper()
	stand := strings.Repeat("~", len(value))
	body := encodings[protobufType](t, exportOf(newSpan(1, 0, attributes.with(says{name: stand}))))
	return bytes.Replace(body, []byte(stand), []byte(value), 1)
}

// TestUserOfSpan checks names set by the scope or resource, and by many attributes. A service's name is not an agent's.
func TestUserOfSpan(t *testing.T) {
	t.Parallel()
	type whose struct{ Agent, User, Session string }
	for name, tt := range map[string]struct {
		resource, scope, span says
		want                  whose
	}{
		"nobody's":                  {resource: says{"service.name": "shop"}},
		"the resource's":            {resource: says{"user.id": "ada", "gen_ai.agent.name": "clerk", "session.id": "s1"}, want: whose{"clerk", "ada", "s1"}},
		"the scope's":               {resource: says{"user.id": "ada"}, scope: says{"enduser.id": "bob"}, want: whose{User: "bob"}},
		"the span's":                {resource: says{"user.id": "ada"}, scope: says{"user.id": "bob"}, span: says{"gen_ai.user": "eve"}, want: whose{User: "eve"}},
		"the workflow's":            {span: says{"gen_ai.workflow.name": "checkout"}, want: whose{Agent: "checkout"}},
		"the agent's before":        {span: says{"gen_ai.workflow.name": "checkout", "gen_ai.agent.name": "clerk"}, want: whose{Agent: "clerk"}},
		"the conversation's":        {span: says{"gen_ai.conversation.id": "c1", "session.id": "s1"}, want: whose{Session: "c1"}},
		"a number's":                {span: says{"user.id": 42}, want: whose{User: "42"}},
		"a step's name is no one's": {span: says{"traceloop.entity.name": "tidy", "traceloop.workflow.name": "checkout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, _ := translated(t, exportFrom(tt.resource, tt.scope, newSpan(1, 0, chat.with(tt.span))))
			place := batch.Spans[0]
			if got := (whose{place.Agent, place.User, place.Session}); got != tt.want {
				t.Errorf("the place in the trace is %+v", got)
			}
			e, want := batch.Executions[0], tt.want
			if want.Agent == "" {
				want.Agent = execution.Unknown
			}
			if want.User == "" {
				want.User = execution.Unknown
			}
			if got := (whose{e.AgentName, e.UserID, e.SessionID}); got != want {
				t.Errorf("the execution is %+v", got)
			}
		})
	}
}

// TestRepeatedSpans checks that reading an export does not change it, whatever its spans share.
func TestRepeatedSpans(t *testing.T) {
	t.Parallel()
	s := newSpan(1, 0, chat)
	batch, partial := translated(t, exportOf(s, proto.CloneOf(s)))
	if partial != nil || len(batch.Executions) != 2 || len(batch.Spans) != 1 {
		t.Errorf("%d executions, %d spans, %v", len(batch.Executions), len(batch.Spans), partial)
	}
}

// TestRegions checks regions: a response often leaves out which Bedrock profile was requested, which determines the
// price.
func TestRegions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ request, response, want string }{
		"a profile":            {"us.anthropic.claude-sonnet-5-5", "claude-sonnet-5-5", "us"},
		"the global one":       {"global.anthropic.claude-sonnet-5-5", "claude-sonnet-5-5", "global"},
		"no profile":           {"anthropic.claude-sonnet-5-5", "claude-sonnet-5-5", prices.InRegion},
		"a name with a dot":    {"gpt-4.1", "gpt-4.1-2025-04-14", ""},
		"a data zone of Azure": {"azure/eu/gpt-4o", "gpt-4o-2024-08-06", "eu"},
		"none":                 {"", "gpt-4o", ""},
	} {
		l := &ledger{}
		body := inBody(t, chat.with(says{"gen_ai.request.model": tt.request, "gen_ai.response.model": tt.response}), "user.id", "u")
		if partial := post(t, l, headerOf(protobufType), body).partial(t); partial != nil || len(l.batch.Executions) != 1 {
			t.Errorf("%s: %v", name, partial)
			continue
		}
		if e := l.batch.Executions[0]; e.Billing.Region != tt.want || e.Model != tt.response {
			t.Errorf("%s: want region %q, got %q of %s", name, tt.want, e.Billing.Region, e.Model)
		}
	}
}
