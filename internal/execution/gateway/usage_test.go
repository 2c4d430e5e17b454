package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

// accounted is the recorded usage of a run.
type accounted struct {
	Tokens  execution.Tokens
	Billing execution.Billing
	Usage   execution.Usage
	Charge  int64 // nano-USD; 0 if the provider did not report it
}

func accountOf(e execution.Execution) accounted {
	a := accounted{e.Tokens, e.Billing, e.Usage, 0}
	if e.ProviderCost != nil {
		a.Charge = *e.ProviderCost
	}
	return a
}

func TestUsageOfHTTPAgents(t *testing.T) {
	t.Parallel()
	reported := func(tokens execution.Tokens) accounted {
		return accounted{Tokens: tokens, Usage: execution.UsageReported}
	}
	merged := reported(execution.Tokens{Input: 12_025, Output: 15, CacheRead: 10_000, CacheWrite: 2_000, Used: 12_040})
	unknown := accounted{Usage: execution.UsageUnknown}
	atLeast := func(tokens execution.Tokens) accounted {
		return accounted{Tokens: tokens, Usage: execution.UsageUnknown}
	}
	opened := execution.Tokens{Input: 12_025, Output: 1, CacheRead: 10_000, CacheWrite: 2_000, Used: 12_026}
	const (
		model     = "    model: claude-sonnet-4-5"
		estimates = "    estimate_usage: true"
		begin     = `data: {"type":"message_start","message":{"model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":10000,"cache_creation_input_tokens":2000,"output_tokens":1}}}` + "\n\n"
		hello     = `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello to you!"}}` + "\n\n"
		end       = `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}` + "\n\n"
		overload  = "event: error\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}` + "\n\n"
		soFar     = `data: {"text":"Hello to you!","model":"m","usage":{"prompt_tokens":5,"completion_tokens":4,"total_tokens":9}}` + "\n\n"
		input     = `data: {"model":"m","usage":{"prompt_tokens":5}}` + "\n\n"
	)
	for name, test := range map[string]struct {
		upstream http.HandlerFunc
		more     []string
		text     string
		want     accounted
	}{
		"told in several events": {
			upstream: stream(`data: {"model":"claude-sonnet-4-5","usage":{"input_tokens":25,"cache_read_input_tokens":10000,"cache_creation_input_tokens":2000,"output_tokens":1}}`+"\n\n",
				`data: {"text":"Hello"}`+"\n\n", `data: {"usage":{"output_tokens":15}}`+"\n\n", done),
			text: "Hello", want: merged,
		},
		"a raw stream of Anthropic's": {
			upstream: stream(`data: {"type":"message_start","message":{"model":"claude-sonnet-4-5","content":[],"usage":{"input_tokens":25,"cache_read_input_tokens":10000,"cache_creation_input_tokens":2000,"output_tokens":1}}}`+"\n\n",
				`data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`+"\n\n", `data: {"type":"ping"}`+"\n\n",
				`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`+"\n\n", `data: {"type":"content_block_stop","index":0}`+"\n\n",
				`data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}`+"\n\n", `data: {"type":"message_stop"}`+"\n\n"),
			text: "Hello", want: merged,
		},
		"a raw stream of Gemini's": {
			upstream: stream(`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Hmm","thought":true}]}}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"totalTokenCount":100},"modelVersion":"gemini-2.5-flash"}`+"\n\n",
				`data: {"candidates":[{"content":{"role":"model","parts":[{"text":"Hel"},{"text":"lo"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":15,"thoughtsTokenCount":5,"totalTokenCount":120},"modelVersion":"gemini-2.5-flash"}`+"\n\n"),
			text: "Hello", want: reported(execution.Tokens{Input: 100, Output: 20, CacheRead: 40, Reasoning: 5, Used: 120}),
		},
		"told of an error": {
			upstream: stream(`data: {"text":"He"}`+"\n\n", `data: {"error":{"message":"overloaded"},"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}`+"\n\n"),
			more:     []string{model}, text: "He", want: reported(execution.Tokens{Input: 5, Output: 7, Used: 12}),
		},
		"a charge of its own": {
			upstream: respond(200, "application/json", `{"text":"Hi","model":"m","usage":{"prompt_tokens":5,"completion_tokens":7,"cost":0.5,"service_tier":"flex"}}`),
			want:     accounted{execution.Tokens{Input: 5, Output: 7, Used: 12}, execution.Billing{ServiceTier: "flex"}, execution.UsageReported, 500_000_000},
		},
		"nothing, of a model":           {upstream: respond(200, "text/plain", "Hi"), more: []string{model}, text: "Hi", want: unknown},
		"nothing, of nobody knows what": {upstream: respond(200, "text/plain", "Hi"), text: "Hi"},
		"nothing, and refused":          {upstream: respond(429, "application/json", `{"error":"slow down"}`), more: []string{model}},
		"nothing, and out of time":      {upstream: respond(504, "text/plain", `too late`), more: []string{model}, want: unknown},
		"nothing, and broken off": {
			upstream: func(w http.ResponseWriter, r *http.Request) { stream("data: Hi\n\n")(w, r); breakOff() },
			more:     []string{model}, text: "Hi", want: unknown,
		},
		"told when the stream began, and broken off": {
			upstream: stream(begin, hello, overload), text: "Hello to you!", want: atLeast(opened),
		},
		"told when the stream began, and broken off before any text": {
			upstream: stream(begin, overload), want: atLeast(opened),
		},
		"told when the stream began, and guessed at": {
			upstream: stream(begin, hello, overload), more: []string{estimates}, text: "Hello to you!",
			want: accounted{Tokens: execution.Tokens{Input: 12_025, Output: 4, CacheRead: 10_000, CacheWrite: 2_000, Used: 12_029}, Usage: execution.UsageEstimated},
		},
		"told when the stream began, which ended without a word": {
			upstream: stream(begin, hello), text: "Hello to you!", want: atLeast(opened),
		},
		"told at the end, and broken off": {
			upstream: stream(begin, hello, end, overload), text: "Hello to you!", want: merged,
		},
		"told at the end of a call of tools, and broken off": {
			upstream: stream(begin, end, overload), want: merged,
		},
		"told with each part, and broken off": {
			upstream: stream(soFar, overload), text: "Hello to you!", want: reported(execution.Tokens{Input: 5, Output: 4, Used: 9}),
		},
		"told with a part, and broken off after another": {
			upstream: stream(soFar, `data: {"text":" And?"}`+"\n\n", overload), text: "Hello to you! And?", want: atLeast(execution.Tokens{Input: 5, Output: 4, Used: 9}),
		},
		"the input alone": {
			upstream: stream(input, `data: {"text":"Hi"}`+"\n\n", done), text: "Hi", want: atLeast(execution.Tokens{Input: 5, Used: 5}),
		},
		"the input alone, and broken off": {
			upstream: stream(input, `data: {"text":"Hi"}`+"\n\n", overload), text: "Hi", want: atLeast(execution.Tokens{Input: 5, Used: 5}),
		},
		"the input alone, of JSON that may be no text": {
			upstream: respond(200, "application/json", `{"model":"m","embedding":[0.5],"usage":{"prompt_tokens":5}}`), want: reported(execution.Tokens{Input: 5, Used: 5}),
		},
		"nothing, and guessed at": {
			upstream: respond(200, "text/plain", "Hello to you!"), more: []string{model, "    estimate_usage: true"}, text: "Hello to you!",
			want: accounted{Tokens: execution.Tokens{Input: 2, Output: 4, Used: 6}, Usage: execution.UsageEstimated},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newFixture(t, httpAgents(serve(t, test.upstream), test.more...)).run(prompt())
			if diff := cmp.Diff(test.want, accountOf(a.record)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if a.text != test.text {
				t.Errorf("%q was said, want %q", a.text, test.text)
			}
			wantTold := any(nil)
			if u := a.record.Usage; u == execution.UsageUnknown || u == execution.UsageEstimated {
				wantTold = string(u)
			}
			if a.last["usage"] != wantTold {
				t.Errorf("the client got usage %v, want %v", a.last["usage"], wantTold)
			}
		})
	}
}

// An OpenAI upstream reports usage at the end. Whether it is known if the client leaves before depends on the agents' file.
func TestUsageAfterClientDisconnect(t *testing.T) {
	t.Parallel()
	known := accounted{
		execution.Tokens{Input: 100, Output: 20, CacheRead: 60, Reasoning: 5, Used: 120}, execution.Billing{}, execution.UsageReported, 0,
	}
	unknown := accounted{Usage: execution.UsageUnknown}
	for name, test := range map[string]struct {
		more   []string
		ends   bool // the upstream ends once the client left
		stops  bool // the gateway stops reading on
		cancel bool // the context is canceled when the client leaves; otherwise emit fails
		output string
		want   accounted
	}{
		"is not known":                 {output: `{"text":"Hi","partial":true}`, want: unknown},
		"is read on for":               {more: []string{"    usage_after_disconnect: drain"}, ends: true, output: `{"text":"Hi there","partial":true,"finish_reason":"stop"}`, want: known},
		"is read on for, by context":   {more: []string{"    usage_after_disconnect: drain"}, ends: true, cancel: true, output: `{"text":"Hi there","partial":true,"finish_reason":"stop"}`, want: known},
		"is read on for until the end": {more: []string{"    usage_after_disconnect: drain"}, stops: true, output: `{"text":"Hi","partial":true}`, want: unknown},
		"is estimated":                 {more: []string{"    system: Be brief.", "    estimate_usage: true"}, output: `{"text":"Hi","partial":true}`, want: accounted{Tokens: execution.Tokens{Input: 4, Output: 1, Used: 5}, Usage: execution.UsageEstimated}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			left := make(chan struct{})
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				stream(chunk("Hi"))(w, r)
				select {
				case <-left:
				case <-r.Context().Done():
					return
				}
				if !test.ends {
					stall(w, r)
					return
				}
				stream(chunk(" there"), finish, used, done)(w, r)
			})
			f := newFixture(t, openAIAgents(url, test.more...))
			run, err := f.Start(prompt())
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			gone := false
			run.Stream(ctx, func(e execution.Event) error {
				if e.Name != "delta" || gone {
					return nil
				}
				gone = true
				if test.stops {
					f.EndDrains()
				}
				if test.cancel {
					cancel()
					close(left)
					return nil
				}
				close(left)
				return errors.New("broken pipe")
			})
			records := f.all()
			if len(records) != 1 {
				t.Fatalf("%d records", len(records))
			}
			e := records[0]
			if diff := cmp.Diff(test.want, accountOf(e)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if e.Status != execution.Failure || e.ErrorMessage != "client went away" || string(e.Output) != test.output {
				t.Errorf("recorded as %s, %q, %s; want failure, client went away, %s", e.Status, e.ErrorMessage, e.Output, test.output)
			}
		})
	}
}
