package usage

import (
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// objects are seeds: usage objects in JSON and in Python's notation, valid and invalid.
var objects = []string{
	`{"prompt_tokens":100,"completion_tokens":20,"prompt_tokens_details":{"cached_tokens":40},"cost":0.1,"service_tier":"flex"}`,
	`{'input_tokens': 60, 'cache_creation': {'ephemeral_1h_input_tokens': 6}, 'output_tokens': None, 'x': (1, [2], True)}`,
	`Usage(prompt_tokens=5, details=Details('a', b=1.5e3), completion_tokens=-7)`,
	`{"promptTokensDetails":[{"modality":"AUDIO","tokenCount":5},{"tokenCount":1e999}],"a":{"usage":{"total_tokens":3}}}`,
	`{"a":"\"`, `{'a': '\'', "b": {`, `{"a":1}}`, `{1: 2, "": 3}`, `U(`, `{"prompt_tokens":9999999999}`, "{\"\xff\":5,\"tokens\":1}",
}

// checkTold fails if a result cannot be stored or is inconsistent.
func checkTold(t *testing.T, result *Result) {
	t.Helper()
	if result.Absurd && result.Tokens != (execution.Tokens{}) {
		t.Fatalf("absurd counts are kept: %+v", result.Tokens)
	}
	if result.Cost != nil && (*result.Cost < 0 || *result.Cost > maxCost*2e9) {
		t.Fatalf("a cost of %d", *result.Cost)
	}
	if len(result.Unread) > maxUnread {
		t.Fatalf("%d names", len(result.Unread))
	}
	e := execution.Execution{
		ID: "e", UserID: "u", AgentName: "a", Kind: execution.Inference, Status: execution.Success, CreatedAt: time.Unix(0, 0),
		Tokens: result.Tokens, Billing: result.Billing,
	}
	if fault := e.Check(execution.Acceptance{Now: time.Unix(0, 0)}); fault != nil {
		t.Fatalf("%v: %+v %+v", fault, result.Tokens, result.Billing)
	}
}

func FuzzObject(f *testing.F) {
	for _, object := range objects {
		f.Add(object, object)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, by := range []Source{{}, {Provider: "google"}, {Scope: "ai", Provider: "anthropic"}} {
			var events Events
			events.Add(first)
			events.Add(second)
			result := events.Settle(by)
			checkTold(t, &result)
			result = Own(first, by)
			checkTold(t, &result)
		}
	})
}

func FuzzAttributes(f *testing.F) {
	for _, object := range objects {
		f.Add("gen_ai.usage.input_tokens", "7", "metadata.usage_object", object, 3.0)
		f.Add("ai.response.providerMetadata", `{"a":{"usage":`+object+`}}`, "gen_ai.usage.input_token_details", object, -1.0)
	}
	f.Add("langfuse.observation.cost_details", `{"total":1e300}`, "llm.cost.total", "$0.5", 1e300)
	f.Fuzz(func(t *testing.T, name, text, other, object string, f float64) {
		for _, key := range []string{name, other} {
			if classifyAttribute(key) != Attribute(key) || Attribute(key) != Attribute(strings.Clone(key)) {
				t.Fatalf("%q does not always say the same", key)
			}
		}
		r := Report{Source: Source{Scope: other, Provider: name, Model: text}}
		_ = r.Text(name, Attribute(name), text) // errors for invalid counts are the client's
		_ = r.Text(other, Attribute(other), object)
		_ = r.Number(other, Attribute(other), f)
		result := r.Settle()
		if r.TooMany() {
			return
		}
		if result.Absurd {
			result.Tokens = execution.Tokens{}
		}
		checkTold(t, &result)
	})
}

func TestObjectsParseInLinearTime(t *testing.T) {
	t.Parallel()
	for _, repeated := range []string{`{'a':`, `{"a":[`, `(`, `U(`, `'\'`, `{"usage":{"a":"`, `[{"modality":"A",`, `{"a":1,`} {
		text := "{'usage': " + strings.Repeat(repeated, maxNamed/len(repeated)-8)
		began := time.Now()
		for range 20 {
			var events Events
			events.Add(text)
			r := Report{}
			_ = r.Text("a.providerMetadata", Name{kind: container}, text)
			if result := r.Settle(); result.Counted() {
				t.Errorf("%s… is taken for usage", repeated)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s…: %d bytes take %s, 40 times", repeated, len(text), took)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, answer := range append([]string{
		`{"raw":"Completion(a=<Role.A: 'a'>, usage=Usage(prompt_tokens=5, completion_tokens=6))","choices":[{"usage":{"total_tokens":3}}]}`,
		`[{"a":[[{"usage_metadata":{"input_tokens":7,"output_tokens":3}}]]},"Reply(usage={'prompt_tokens': 7})"]`, `{"a":<'`, `["<>",<>]`,
	}, objects...) {
		f.Add(answer, 7.0, 3.0)
	}
	f.Fuzz(func(t *testing.T, answer string, in, out float64) {
		r := Report{Source: Source{Provider: "openai"}}
		for key, n := range map[string]float64{"gen_ai.usage.input_tokens": in, "gen_ai.usage.output_tokens": out} {
			if r.Number(key, Attribute(key), n) != nil {
				return
			}
		}
		before := r.Settle()
		r.Answer(answer)
		result := r.Settle()
		checkTold(t, &result)
		if before.Counted() && (result.Tokens.Input < before.Tokens.Input || result.Tokens.Output < before.Tokens.Output) {
			t.Fatalf("%+v became %+v", before.Tokens, result.Tokens)
		}
	})
}
