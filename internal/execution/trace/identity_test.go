package trace_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution/trace"
)

// TestOneCallCountsOnce checks calls with several spans, and calls that only look the same, in any order.
func TestOneCallCountsOnce(t *testing.T) {
	t.Parallel()
	const id = "response=chatcmpl-8xKq2vY0aBcD"
	for name, tt := range map[string]struct{ spans, want []string }{
		"siblings of one trace with an id": {
			[]string{"0 run agent=a 0-20", "1<0 call model=m uses=4/2 " + id + " 1-19", "2<0 call model=m uses=4/2 scope=inner " + id + " 2-18"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - response_id"},
		},
		"siblings, one without an id": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=m uses=4/2 " + id + " 1-900", "2<0 call model=m uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - similarity"},
		},
		"siblings, the model with a date": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=gpt-4o uses=4/2 1-900", "2<0 call model=gpt-4o-2024-08-06 uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - similarity"},
		},
		"siblings, the model by Vertex AI's name": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=claude-sonnet-4-5@20250929 uses=4/2 1-900", "2<0 call model=claude-sonnet-4-5-20250929 uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - similarity"},
		},
		"siblings, the model by Bedrock's profile": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=us.anthropic.claude-sonnet-4-5-20250929-v1:0 uses=4/2 1-900", "2<0 call model=claude-sonnet-4-5-20250929 uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - similarity"},
		},
		"siblings, the model by Google's resource": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=models/gemini-2.5-flash-001 uses=4/2 1-900", "2<0 call model=gemini-2.5-flash uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - similarity"},
		},
		"siblings, the model with its provider": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=openai:gpt-4o uses=4/2 1-900", "2<0 call model=gpt-4o uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 - similarity"},
		},
		"siblings, models of one family": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=gpt-4o uses=4/2 1-900", "2<0 call model=gpt-4o-mini uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 inference a 4/2"},
		},
		"siblings, tags of a model that is run by its users": {
			[]string{"0 run agent=a 0-1000", "1<0 call model=llama3:8b uses=4/2 1-900", "2<0 call model=llama3:70b uses=4/2 scope=inner 2-899"},
			[]string{"0 agent a request", "1 inference a 4/2", "2 inference a 4/2"},
		},
		"two traces with an id": {
			[]string{"a1 call model=m uses=4/2 " + id + " 0-900", "b1 call model=m uses=4/2 scope=inner " + id + " 1-899"},
			[]string{"a1 inference unknown 4/2 request", "b1 - response_id"},
		},
		"two traces, the inner one without an id": {
			[]string{"a1 call model=m uses=4/2 " + id + " 0-900", "b1 call model=m uses=4/2 scope=inner 1-899"},
			[]string{"a1 inference unknown 4/2 request", "b1 - similarity"},
		},
		"a stream that one ends with its last part, the other when it is read": {
			[]string{"a1 call model=m uses=4/2 " + id + " 0-9000", "b1 call model=m uses=4/2 scope=inner " + id + " 1-2000"},
			[]string{"a1 inference unknown 4/2 request", "b1 - response_id"},
		},
		"a stream of which one tells nothing": {
			[]string{"a1 call model=m " + id + " 0-9000", "b1 call model=m uses=4/2 scope=inner " + id + " 1-2000"},
			[]string{"a1 inference unknown 4/2 request", "b1 - response_id"},
		},
		"a client and its proxy in one trace": {
			[]string{"1 call model=m uses=4/2 " + id + " 0-900", "2<1 5-890 process=q", "3<2 call model=m uses=4/2 " + id + " process=q 6-880"},
			[]string{"1 inference unknown 4/2 request", "3 - response_id"},
		},
		"a retry after a failure": {
			[]string{"0 run agent=a 0-100", "1<0 call model=m failed 0-10", "2<0 call model=m uses=4/2 " + id + " 20-90"},
			[]string{"0 agent a request", `1 inference a failure "of 1"`, "2 inference a 4/2"},
		},
		"a retry after a failure, seen by two": {
			[]string{
				"0 run agent=a 0-100", "1<0 call model=m failed 0-10", "2<1 call model=m failed scope=inner 1-9",
				"3<0 call model=m uses=4/2 20-90", "4<3 call model=m uses=4/2 scope=inner 21-89",
			},
			[]string{"0 agent a request", `1 inference a failure "of 1"`, "2 - parent", "3 inference a 4/2", "4 - parent"},
		},
		"an outer call around a failed try and another": {
			[]string{"1 call model=m uses=4/2 0-100", "2<1 call model=m failed scope=inner 1-10", "3<1 call model=m uses=4/2 scope=inner 20-99"},
			[]string{"1 inference unknown 4/2 request", `2 inference unknown failure "of 2"`, "3 - parent"},
		},
		"a fallback to another model": {
			[]string{"1 call model=m uses=4/2 0-100", "2<1 call model=m failed scope=inner 1-10", "3<1 call model=n uses=4/2 scope=inner 20-99"},
			[]string{"1 inference unknown 4/2 request", `2 inference unknown failure "of 2"`, "3 - parent"},
		},
		"a hedged request, both billed": {
			[]string{"1 call model=m uses=4/2 0-100", "2<1 call model=m uses=4/3 scope=inner 1-90", "3<1 call model=m uses=4/2 scope=inner 20-99"},
			[]string{"1 agent unknown request", "2 inference unknown 4/3", "3 inference unknown 4/2"},
		},
		"a cached answer, soon, in the same process": {
			[]string{"a1 call model=m uses=4/2 " + id + " 0-900", "b1 call model=m uses=4/2 " + id + " 2000-2001"},
			[]string{"a1 inference unknown 4/2 request", "b1 inference unknown 4/2 request"},
		},
		"the same id by two users": {
			[]string{"a1 call model=m uses=4/2 user=ada " + id + " 0-900", "b1 call model=m uses=4/2 scope=inner user=bob " + id + " 1-899"},
			[]string{"a1 inference unknown ada/ 4/2 request", "b1 inference unknown bob/ 4/2 request"},
		},
		"parallel calls with the same counts, seen by two": {
			[]string{
				"0 run agent=a 0-1000", "1<0 call model=m uses=4/2 1-500", "2<0 call model=m uses=4/2 1-800",
				"3<0 call model=m uses=4/2 scope=inner 2-499", "4<0 call model=m uses=4/2 scope=inner 2-799",
			},
			[]string{"0 agent a request", "1 inference a 4/2", "2 inference a 4/2", "3 - similarity", "4 - similarity"},
		},
		"three instrumentations, nested and beside": {
			[]string{
				"1 call model=m uses=4/2 " + id + " 0-900", "2<1 call model=m uses=4/2 scope=inner " + id + " 1-899",
				"b1 call model=m uses=4/2 scope=third " + id + " 2-898",
			},
			[]string{"1 inference unknown 4/2 request", "2 - response_id", "b1 - response_id"},
		},
		"an embedding that two see, in two traces": {
			[]string{"a1 call model=e uses=8/0 0-900", "b1 call model=e uses=8/0 scope=inner 1-899"},
			[]string{"a1 inference unknown 8/0 request", "b1 - similarity"},
		},
		"a tool that calls a model within a call": {
			[]string{"1 call model=m uses=9/9 0-100", "2<1 tool 10-90", "3<2 run agent=b 11-89", "4<3 call model=m uses=4/2 12-88"},
			[]string{"1 inference unknown 9/9 request", "2 tool unknown", "3 agent b", "4 inference b 4/2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decideAs(t, tt.spans, tt.want)
		})
	}
}

func TestPlainModel(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]string{
		"gpt-4o":            "gpt-4o",
		"GPT-4o-2024-08-06": "gpt-4o",
		"openai/gpt-4o":     "gpt-4o",
		"openai:gpt-4o":     "gpt-4o",
		"gpt-4.1-mini":      "gpt-4.1-mini",
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
		"us-gov.anthropic.claude-sonnet-4-5":           "claude-sonnet-4-5",
		"claude-sonnet-4-5@20250929":                   "claude-sonnet-4-5",
		"claude-sonnet-4-5[1m]":                        "claude-sonnet-4-5",
		"models/gemini-2.5-flash-001":                  "gemini-2.5-flash",
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0": "nova-lite",
		"ft:gpt-4o-mini-2024-07-18:acme::abc":                                               "ft:gpt-4o-mini-2024-07-18:acme::abc",
		"llama3:8b":                                                                         "llama3:8b",
		"mistral:7b":                                                                        "mistral:7b",
		"mistral:latest":                                                                    "mistral:latest",
		"deepseek-v3":                                                                       "deepseek-v3",
		"o3-mini":                                                                           "o3-mini",
		"":                                                                                  "",
		".":                                                                                 ".",
		"acme.":                                                                             "acme.",
	} {
		if got := trace.PlainModel(model); got != want {
			t.Errorf("%q: want %q, got %q", model, want, got)
		}
	}
}
