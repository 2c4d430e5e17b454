package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestHTTPAgentRequest(t *testing.T) {
	t.Parallel()
	var body string
	var header http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body, header = string(b), r.Header
		respond(200, "text/plain", "ok")(w, r)
	})
	f := newFixture(t, httpAgents(url))
	f.run(prompt(withOptions(`{"b":1,"a":"<"}`)))
	if want := `{"type":"chat","user_id":"ada","session_id":"s-1","request_id":"r-1","message":"Hello","options":{"b":1,"a":"<"}}`; body != want {
		t.Errorf("body: want %s, got %s", want, body)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + key, "Content-Type": "application/json", "Idempotency-Key": "run-1",
		"Accept":      "text/event-stream, application/json, text/plain",
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: want %q, got %q", name, want, got)
		}
	}
	f.run(execution.Prompt{Type: "chat", UserID: "ada", Message: "Hello"})
	if want := `{"type":"chat","user_id":"ada","message":"Hello"}`; body != want {
		t.Errorf("body without what is optional: want %s, got %s", want, body)
	}
}

func TestHTTPAgentResponse(t *testing.T) {
	t.Parallel()
	ours := execution.Tokens{Input: 3, Output: 4, CacheRead: 1, Reasoning: 2, Used: 7}
	for name, test := range map[string]struct {
		upstream http.HandlerFunc
		text     string // of the deltas
		output   any    // of the completed event; nil: the text
		record   string // the recorded output; empty: the text
		model    string
		tokens   execution.Tokens
	}{
		"events of text":          {upstream: stream("data: Hel\n\n", "data: lo\n\n"), text: "Hello"},
		"events of several lines": {upstream: stream("data: a\ndata: b\n\n"), text: "a\nb"},
		"events of JSON": {
			upstream: stream(`data: {"text":"H"}`+"\n\n", `data: {"delta":"e"}`+"\n\n", `data: {"content":"y"}`+"\n\n", "data: [DONE]\n\n", "data: more\n\n"),
			text:     "Hey",
		},
		"JSON that we do not know": {upstream: stream(`data: {"card":1}`+"\n\n", "data: [2]\n\n"), text: `{"card":1}[2]`},
		"a final report": {
			upstream: stream("data: Hi\n\n", `data: {"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}},"model":"m-2"}`+"\n\n"),
			text:     "Hi", model: "m-2", tokens: ours,
		},
		"our own events": {
			upstream: stream("event: started\ndata: {\"execution_id\":\"x\"}\n\n", "event: delta\ndata: {\"text\":\"Hi\"}\n\n", ": heartbeat\n\n",
				"event: completed\ndata: {\"output\":\"Hi\",\"model\":\"m-3\",\"provider\":\"p\",\"tokens\":{\"input\":3,\"output\":4,\"cache_read\":1,\"reasoning\":2}}\n\n"),
			text: "Hi", model: "m-3", tokens: ours,
		},
		"the answer at the end": {upstream: stream("event: done\ndata: {\"text\":\"Hi\"}\n\n"), text: "Hi"},
		"JSON at the end": {
			upstream: stream("event: completed\ndata: {\"output\":{\"cards\":[1, 2]}}\n\n"),
			output:   map[string]any{"cards": []any{1.0, 2.0}}, record: `{"cards":[1,2]}`,
		},
		"text": {upstream: respond(200, "text/plain; charset=utf-8", "Grüße, 世界"), text: "Grüße, 世界"},
		"text in pieces": {
			upstream: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				for _, b := range []byte("ü世🙂!") {
					send(w, string([]byte{b}))
				}
			},
			text: "ü世🙂!",
		},
		"text that is none": {upstream: respond(200, "text/plain", "a\xffb\x00c\xe4\xb8"), text: "a\uFFFDb\uFFFDc\uFFFD"},
		"JSON": {
			upstream: respond(200, "application/json", ` {"cards": [{"q":"a"}], "model":"m-4", "tokens": {"input":3,"output":4,"cache_read":1,"reasoning":2}} `),
			output:   map[string]any{"cards": []any{map[string]any{"q": "a"}}, "model": "m-4", "tokens": map[string]any{"input": 3.0, "output": 4.0, "cache_read": 1.0, "reasoning": 2.0}},
			record:   `{"cards":[{"q":"a"}],"model":"m-4","tokens":{"input":3,"output":4,"cache_read":1,"reasoning":2}}`,
			model:    "m-4", tokens: ours,
		},
		"JSON with a total":      {upstream: respond(200, "application/json", `{"tokens":12}`), output: map[string]any{"tokens": 12.0}, record: `{"tokens":12}`, tokens: execution.Tokens{Used: 12}},
		"JSON with odd reports":  {upstream: respond(200, "application/json", `{"tokens":"many","model":5,"usage":[]}`), output: map[string]any{"tokens": "many", "model": 5.0, "usage": []any{}}, record: `{"tokens":"many","model":5,"usage":[]}`},
		"JSON that is a list":    {upstream: respond(201, "application/json", `[1,"a"]`), output: []any{1.0, "a"}, record: `[1,"a"]`},
		"JSON that says nothing": {upstream: respond(200, "application/json", `null`), output: nil, record: "null"},
		"JSON with a name twice": {upstream: respond(200, "application/json", `{"a":1,"a":2}`), output: map[string]any{"a": 2.0}, record: `{"a":2}`},
		"JSON not in UTF-8":      {upstream: respond(200, "application/json", "{\"a\": \"\xff\\ud83d\"}"), output: map[string]any{"a": "\uFFFD\uFFFD"}, record: `{"a":"` + "\uFFFD\uFFFD" + `"}`},
		"JSON with NUL":          {upstream: respond(200, "application/json", `{"a":"\u0000"}`), output: map[string]any{"a": "\x00"}, record: `{"a":"` + "\uFFFD" + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newFixture(t, httpAgents(serve(t, test.upstream), "    model: m-1", "    provider: ours")).run(prompt())
			if a.record.Status != execution.Success || a.text != test.text {
				t.Errorf("want success and %q, got %q, %+v", test.text, a.text, a.record)
			}
			if test.output == nil && test.record == "" {
				test.output = test.text
			}
			if diff := cmp.Diff(test.output, a.last["output"]); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if test.record == "" {
				test.record = `{"text":"` + strings.ReplaceAll(strings.ReplaceAll(test.text, `"`, `\"`), "\n", `\n`) + `"}`
			}
			if got := string(a.record.Output); got != test.record {
				t.Errorf("recorded output: want %s, got %s", test.record, got)
			}
			if test.model == "" {
				test.model = "m-1"
			}
			if a.record.Model != test.model || a.record.Tokens != test.tokens {
				t.Errorf("want %s and %+v, got %s and %+v", test.model, test.tokens, a.record.Model, a.record.Tokens)
			}
		})
	}
}
