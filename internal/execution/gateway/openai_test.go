package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

func TestOpenAIStreams(t *testing.T) {
	t.Parallel()
	url := serve(t, stream(": hello\n\n", chunk("Hel"), chunk("lo, Ada"), finish, used, done))
	f := newFixture(t, openAIAgents(url, "    provider: openai"))
	a := f.run(prompt(withOptions(`{"count":3}`)))

	if diff := cmp.Diff([]string{"started", "delta", "completed"}, a.names); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	want := execution.Execution{
		ID: "run-1", UserID: "ada", SessionID: "s-1", RequestID: "r-1", AgentName: "writer", Kind: execution.Agent, Status: execution.Success,
		Provider: "openai", Model: "gpt-4o-mini-2024-07-18", Request: true,
		Tokens: execution.Tokens{Input: 100, Output: 20, CacheRead: 60, Reasoning: 5, Used: 120}, Usage: execution.UsageReported,
		Cost:   new(int64(40*150 + 60*75 + 20*600)), // 0.15, 0.075 and 0.60 USD per million tokens
		Input:  json.RawMessage(`{"type":"chat","message":"Hello","options":{"count":3}}`),
		Output: json.RawMessage(`{"text":"Hello, Ada","finish_reason":"stop"}`),
	}
	got := a.record
	if got.CreatedAt.IsZero() || got.Duration <= 0 || got.PriceVersion == "" {
		t.Errorf("record: want times and a price, got %+v", got)
	}
	want.CreatedAt, want.Duration, want.PriceVersion = got.CreatedAt, got.Duration, got.PriceVersion
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	wantLast := map[string]any{
		"execution_id": "run-1", "status": "success", "output": "Hello, Ada", "finish_reason": "stop",
		"model": "gpt-4o-mini-2024-07-18", "provider": "openai", "tokens_used": 120.0, "cost_usd": 0.0000225,
		"tokens":      map[string]any{"input": 100.0, "output": 20.0, "cache_read": 60.0, "cache_write": 0.0, "reasoning": 5.0},
		"duration_ms": float64(got.Duration.Microseconds()) / 1e3,
	}
	if diff := cmp.Diff(wantLast, a.last); diff != "" {
		t.Errorf("completed (-want +got):\n%s", diff)
	}
}

func TestOpenAIRequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines   []string
		options string
		want    string
	}{
		"the least": {nil, ``, `{"messages":[{"role":"user","content":"Hello"}],"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}`},
		"all there is": {
			[]string{"    system: Be brief.", "    temperature: 0", "    max_output_tokens: 50", "    extra: {top_k: 5, nested: {a: [1, 2.5, x, null, true]}}"},
			`{"temperature":0.5,"top_p":1,"max_tokens":20,"seed":-7,"stop":["a","b"]}`,
			`{"max_tokens":20,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}],"model":"gpt-4o-mini",` +
				`"nested":{"a":[1,2.5,"x",null,true]},"seed":-7,"stop":["a","b"],"stream":true,"stream_options":{"include_usage":true},"temperature":0.5,"top_k":5,"top_p":1}`,
		},
		"an option cannot ask for more than the file allows": {
			[]string{"    max_output_tokens: 50"},
			`{"max_tokens":1000,"stop":"x"}`,
			`{"max_tokens":50,"messages":[{"role":"user","content":"Hello"}],"model":"gpt-4o-mini","stop":["x"],"stream":true,"stream_options":{"include_usage":true}}`,
		},
		"a server that does not know stream_options": {
			[]string{"    extra: {stream_options: null}"},
			``,
			`{"messages":[{"role":"user","content":"Hello"}],"model":"gpt-4o-mini","stream":true}`,
		},
		"other options are a part of the question": {
			nil, `{"difficulty":"<medium>","count":3,"content":"Python","temperature":1,"model":"gpt-5","messages":[],"stream":false}`,
			`{"messages":[{"role":"user","content":"Hello\n\n{\"content\":\"Python\",\"count\":3,\"difficulty\":\"<medium>\",\"messages\":[],\"model\":\"gpt-5\",\"stream\":false}"}],` +
				`"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"temperature":1}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body, path string
			var header http.Header
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				body, path, header = string(b), r.Method+" "+r.URL.String(), r.Header
				stream(chunk("x"), done)(w, r)
			})
			f := newFixture(t, openAIAgents(url+"/v1/?api-version=2", test.lines...))
			f.run(prompt(withOptions(test.options)))
			if diff := cmp.Diff(test.want, body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if want := "POST /v1/chat/completions?api-version=2"; path != want {
				t.Errorf("path: want %s, got %s", want, path)
			}
			for name, want := range map[string]string{
				"Authorization": "Bearer " + key, "Content-Type": "application/json", "Accept": "text/event-stream, application/json",
				"Idempotency-Key": "run-1", "User-Agent": "watchbill", "Traceparent": "",
			} {
				if got := header.Get(name); got != want {
					t.Errorf("%s: want %q, got %q", name, want, got)
				}
			}
		})
	}
}

func TestUnsupportedOpenAIOptions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, openAIAgents("http://127.0.0.1:1"))
	for options, field := range map[string]string{
		`{"temperature":"hot"}`:             "options.temperature",
		`{"temperature":2.1}`:               "options.temperature",
		`{"temperature":null}`:              "options.temperature",
		`{"top_p":-1}`:                      "options.top_p",
		`{"max_tokens":0}`:                  "options.max_tokens",
		`{"max_tokens":1.5}`:                "options.max_tokens",
		`{"max_tokens":1e30}`:               "options.max_tokens",
		`{"seed":"x"}`:                      "options.seed",
		`{"stop":[]}`:                       "options.stop",
		`{"stop":["a","b","c","d","e"]}`:    "options.stop",
		`{"stop":{"a":1}}`:                  "options.stop",
		`{"stop":""}`:                       "options.stop",
		`{"seed":"x","max_tokens":0,"a":1}`: "options.max_tokens",
		`[1]`:                               "options",
		`"x"`:                               "options",
		`null`:                              "options",
		`{"a":`:                             "options",
	} {
		_, err := f.Start(prompt(withOptions(options)))
		wantFault(t, options, err, fault.Invalid, "invalid_field", field)
	}
	if f.reserved != 0 || f.Running() != 0 {
		t.Errorf("refused runs leave %d reservations and %d runs", f.reserved, f.Running())
	}
}

// All ways in which upstreams report token counts.
func TestUsage(t *testing.T) {
	t.Parallel()
	for usage, want := range map[string]execution.Tokens{
		`null`: {},
		`{}`:   {},
		`{"prompt_tokens":5,"completion_tokens":7}`: {Input: 5, Output: 7, Used: 12},
		`{"prompt_tokens":5,"completion_tokens":7,"total_tokens":99,"prompt_tokens_details":null,"completion_tokens_details":null}`: {Input: 5, Output: 7, Used: 99}, // the rest has no price
		`{"total_tokens":99}`: {Used: 99},
		`{"prompt_tokens":5,"completion_tokens":7,"total_tokens":15,"completion_tokens_details":{"reasoning_tokens":3}}`:                           {Input: 5, Output: 10, Reasoning: 3, Used: 15},
		`{"prompt_tokens":5,"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":9},"prompt_tokens_details":{"cached_tokens":9}}`: {Input: 5, Output: 2, CacheRead: 5, Reasoning: 2, Used: 7},
		`{"input_tokens":5,"output_tokens":7,"input_tokens_details":{"cached_tokens":4},"output_tokens_details":{"reasoning_tokens":6}}`:           {Input: 5, Output: 7, CacheRead: 4, Reasoning: 6, Used: 12},
		`{"input_tokens":5,"output_tokens":7,"cache_read_input_tokens":100,"cache_creation_input_tokens":10}`:                                      {Input: 115, Output: 7, CacheRead: 100, CacheWrite: 10, Used: 122},
		`{"prompt_tokens":-5,"completion_tokens":"many"}`:                                                                                          {},
		`{"prompt_tokens":1e300,"completion_tokens":7.9}`:                                                                                          {}, // unknown, not a billion
		`{"prompt_tokens":5,"completion_tokens":1000000000000000}`:                                                                                 {},
		`{"prompt_tokens":1000000000,"completion_tokens":7}`:                                                                                       {Input: execution.MaxTokens, Output: 7, Used: execution.MaxTokens + 7},
		`{"prompt_tokens":[1],"completion_tokens":{"a":1},"total_tokens":true}`:                                                                    {},
	} {
		url := serve(t, stream(chunk("x"), finish, `data: {"choices":[],"usage":`+usage+"}\n\n", done))
		a := newFixture(t, openAIAgents(url)).run(prompt())
		if diff := cmp.Diff(want, a.record.Tokens); diff != "" {
			t.Errorf("%s (-want +got):\n%s", usage, diff)
		}
		if want == (execution.Tokens{}) && a.record.Cost != nil {
			t.Errorf("%s: an unknown cost must not be reported, got %d", usage, *a.record.Cost)
		}
	}
}

// Deviations of servers that claim to be compatible.
func TestOpenAIDialects(t *testing.T) {
	t.Parallel()
	whole := func(message string) http.HandlerFunc {
		return respond(200, "application/json", `{"model":"m","choices":[{"message":`+message+`,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}`)
	}
	for name, test := range map[string]struct {
		upstream http.HandlerFunc
		text     string
	}{
		"does not stream":                 {whole(`{"role":"assistant","content":"Hi"}`), "Hi"},
		"answers in parts":                {whole(`{"content":[{"type":"thinking"},{"type":"text","text":"H"},{"type":"text","text":"i"}]}`), "Hi"},
		"refuses":                         {whole(`{"content":null,"refusal":"No."}`), "No."},
		"says nothing":                    {whole(`{"content":""}`), ""},
		"another JSON type":               {respond(200, "application/vnd.api+json; charset=utf-8", `{"choices":[{"message":{"content":"Hi"}}]}`), "Hi"},
		"no [DONE]":                       {stream(chunk("Hi"), finish), "Hi"},
		"half a line after the end":       {stream(chunk("Hi"), finish, "data: [DO"), "Hi"},
		"a final chunk with a message":    {stream(chunk("H"), `data: {"choices":[{"message":{"content":"i"},"finish_reason":"stop"}]}`+"\n\n"), "Hi"},
		"reasons aloud":                   {stream(`data: {"choices":[{"delta":{"reasoning_content":"hm","content":null}}]}`+"\n\n", chunk("Hi"), finish), "Hi"},
		"CRLF":                            {stream(strings.ReplaceAll(chunk("Hi")+finish+done, "\n", "\r\n")), "Hi"},
		"no choices at first":             {stream(`data: {"choices":[],"prompt_filter_results":[]}`+"\n\n", chunk("Hi"), finish, done), "Hi"},
		"text that is not to be stored":   {stream(`data: {"choices":[{"delta":{"content":"a\u0000b\ud800c"}}]}`+"\n\n", done), "a\uFFFDb\uFFFDc"},
		"a comment between, to be polite": {stream(": OPENROUTER PROCESSING\n\n", chunk("Hi"), ":\n\n", finish, done), "Hi"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newFixture(t, openAIAgents(serve(t, test.upstream))).run(prompt())
			if a.record.Status != execution.Success || a.text != test.text || a.last["output"] != test.text {
				t.Errorf("want %q, got %q, %v, %+v", test.text, a.text, a.last, a.record)
			}
		})
	}
}
