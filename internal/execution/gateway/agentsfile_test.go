package gateway_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/yamlfile"
)

func TestExampleFileIsValid(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../../examples/agents.yaml")
	if err != nil {
		t.Fatal(err)
	}
	agents, err := gateway.ParseAgents(file, func(string) (string, bool) { return "secret", true })
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, promptType := range []string{"echo", "try_it", "flashcard_generation", "summary", "draft_letter", "quiz_math", "anything"} {
		got[promptType] = agents.Find(promptType)
	}
	want := map[string]string{
		"echo": "parrot", "try_it": "parrot", "flashcard_generation": "main_orchestrator", "summary": "main_orchestrator",
		"draft_letter": "local_writer", "quiz_math": "quiz_master", "anything": "fallback",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("agents (-want +got):\n%s", diff)
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"summary", "summary", true},
		{"summary", "summary2", false},
		{"*", "anything/at.all", true},
		{"*", "", true},
		{"flashcard_*", "flashcard_", true},
		{"flashcard_*", "flashcard", false},
		{"*_de", "summary_de", true},
		{"*_de", "summary_de_at", false},
		{"a*b*c", "a1b2b3c", true},
		{"a*b*c", "a1c2b", false},
		{"a*a", "a", false},
		{"a**b", "ab", true},
		{"[a]", "a", false},
		{"A", "a", false},
		{strings.Repeat("a*", 50) + "b", strings.Repeat("a", 120), false},
	} {
		if got := gateway.Matches(test.pattern, test.text); got != test.want {
			t.Errorf("%q on %q: want %v, got %v", test.pattern, test.text, test.want, got)
		}
	}
}

func TestNoAgents(t *testing.T) {
	t.Parallel()
	var none *gateway.Agents
	if none.Find("x") != "" || none.Len() != 0 || len(none.Names()) != 0 {
		t.Error("nil must have no agents")
	}
}

func TestAgentFaults(t *testing.T) {
	t.Parallel()
	one := func(lines ...string) string {
		return "agents:\n- name: a\n  types: [x]\n  kind: " + strings.Join(lines, "\n")
	}
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"a list":                 {"- a", []string{"line 1: file: must be a mapping"}},
		"no agents":              {"{}", []string{"line 1: agents: is missing; it lists the agents"}},
		"an empty list":          {"agents: []", []string{"line 1: agents: must not be empty"}},
		"an unknown field":       {"agents:\n- {name: a, types: [x], kind: echo}\nprices: {}", []string{"line 3: prices: is not a field here; known are agents"}},
		"a scalar for an agent":  {"agents: [x]", []string{"line 1: agents[0]: must be a mapping"}},
		"an agent with nothing":  {"agents: [{}]", []string{"line 1: agents[0].name: is missing", "line 1: agents[0].types: is missing", "line 1: agents[0].kind: is missing"}},
		"an unknown kind":        {one("robot"), []string{`line 4: agents[0].kind: must be one of openai, http, echo, not "robot"`}},
		"another kind's section": {one("echo", "  http: {url: 'http://x'}"), []string{"line 5: agents[0].http: belongs to agents of the kind http"}},
		"no section":             {one("openai"), []string{"line 2: agents[0].openai: is missing"}},
		"names twice": {
			"agents:\n- {name: a, types: [x], kind: echo}\n- {name: a, types: [y], kind: echo}",
			[]string{"line 3: agents[1].name: is another agent's, in line 2"},
		},
		"types": {
			"agents:\n- name: a\n  types: x\n  kind: echo\n- name: b\n  types: []\n  kind: echo\n- name: c\n  types: ['', null, \"a\\tb\", 7]\n  kind: echo",
			[]string{
				"line 3: agents[0].types: must be a list", "line 6: agents[1].types: must not be empty",
				"line 9: agents[2].types[0]: must not be empty", "line 9: agents[2].types[1]: must be text",
				"line 9: agents[2].types[2]: must not contain control characters",
			},
		},
		"times": {one("echo", "  timeout: 5", "  idle_timeout: 2h", "  echo: {delay: -1s}"), []string{
			`line 5: agents[0].timeout: must be a duration such as 90s or 2m, not "5"`,
			"line 6: agents[0].idle_timeout: must be from 10ms to 1h",
			"line 7: agents[0].echo.delay: must be from 0 to 1h",
		}},
		"usage": {one("openai", "  openai:", "    model: m", "    usage_after_disconnect: wait", "    estimate_usage: 1"), []string{
			`line 7: agents[0].openai.usage_after_disconnect: must be stop or drain, not "wait"`,
			"line 8: agents[0].openai.estimate_usage: must be true or false",
		}},
		"openai": {one("openai", "  openai:", "    base_url: ftp://x", "    temperature: 3", "    max_output_tokens: 0.5", "    api_key_env: "+key, "    provider: [x]", "    extra: {messages: [], n: .nan}"), []string{
			"line 6: agents[0].openai.model: is missing",
			"line 6: agents[0].openai.base_url: must be a URL that begins with https:// or http://",
			"line 7: agents[0].openai.temperature: must be a number from 0 to 2",
			"line 8: agents[0].openai.max_output_tokens: must be a whole number from 1 to 1000000000",
			"line 9: agents[0].openai.api_key_env: must be the name of an environment variable, which has the secret",
			"line 10: agents[0].openai.provider: must be text",
			"line 11: agents[0].openai.extra.n: must be a value that JSON has",
			"line 11: agents[0].openai.extra.messages: cannot be set in extra",
		}},
		"keys": {one("openai", "  openai: {model: m, api_key_env: NOT_SET}"), []string{
			"line 5: agents[0].openai.api_key_env: the environment variable it names is not set",
		}},
		"http": {one("http", "  http:", "    url: https://me:"+key+"@x/", "    headers_env:", "      Host: TEST_AUTH", "      'a b': TEST_AUTH", "      X-A: TEST_AUTH", "      x-a: TEST_AUTH", "      X-B: BROKEN", "      X-C: NOT_SET", "      Traceparent: TEST_AUTH"), []string{
			"line 6: agents[0].http.url: must not hold a password; name an environment variable instead",
			"line 8: agents[0].http.headers_env.Host: cannot be set in the file",
			`line 9: agents[0].http.headers_env."a b": is not a header's name`,
			"line 11: agents[0].http.headers_env.x-a: is duplicated",
			"line 12: agents[0].http.headers_env.X-B: the environment variable it names has a value that cannot be sent in a header",
			"line 13: agents[0].http.headers_env.X-C: the environment variable it names is not set",
			"line 14: agents[0].http.headers_env.Traceparent: cannot be set in the file",
		}},
		"no url": {one("http", "  http: {}"), []string{"line 5: agents[0].http.url: is missing"}},
		"urls": {
			"agents:\n" +
				"- {name: a, types: [x], kind: http, http: {url: 'http://'}}\n" +
				"- {name: b, types: [x], kind: http, http: {url: 'localhost:80'}}\n" +
				"- {name: c, types: [x], kind: http, http: {url: 'http://x/#y'}}\n" +
				"- {name: d, types: [x], kind: http, http: {url: 'http://x y/'}}",
			[]string{
				"line 2: agents[0].http.url: must be a URL that begins with https:// or http://",
				"line 3: agents[1].http.url: must be a URL that begins with https:// or http://",
				"line 4: agents[2].http.url: must not have a fragment",
				"line 5: agents[3].http.url: must be a URL that begins with https:// or http://",
			},
		},
		"an alias": {"agents:\n- &a {name: a, types: [x], kind: echo}\n- *a", []string{"line 3: agents[1]: is an alias, which are not followed here; write it out"}},
		"extra that is no mapping": {one("openai", "  openai: {model: m, extra: [1]}"), []string{
			"line 5: agents[0].openai.extra: must be a mapping",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gateway.ParseAgents([]byte(test.file), environment)
			var faults yamlfile.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("want faults, got %v", err)
			}
			if diff := cmp.Diff(test.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("a fault holds a secret: %v", err)
			}
		})
	}
}

func TestAgentFilesAreBounded(t *testing.T) {
	t.Parallel()
	if _, err := gateway.ParseAgents([]byte(strings.Repeat("#", gateway.MaxAgentsFile+1)), environment); err == nil {
		t.Error("a file beyond the bound: want a fault")
	}
	var many strings.Builder
	many.WriteString("agents:\n")
	for n := range 900 {
		fmt.Fprintf(&many, "- {name: a%d, types: [x], kind: robot}\n", n)
	}
	_, err := gateway.ParseAgents([]byte(many.String()), environment)
	if n := strings.Count(err.Error(), "\n") + 1; n != gateway.MaxFaults+1 {
		t.Errorf("faults of 900 bad agents: want %d listed and one that says that there are more, got %d", gateway.MaxFaults, n)
	}
}

func FuzzParseAgents(f *testing.F) {
	example, err := os.ReadFile("../../../examples/agents.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("agents:\n- {name: a, types: ['*'], kind: openai, openai: {model: m, extra: {a: [1, {b: 2001-01-01}], c: !!binary aGk=}}}")
	f.Add("agents: [&a {<<: *a}]")
	f.Fuzz(func(t *testing.T, file string) {
		agents, err := gateway.ParseAgents([]byte(file), environment)
		if (agents == nil) == (err == nil) {
			t.Fatalf("got %v and %v", agents, err)
		}
		if err == nil && agents.Len() == 0 {
			t.Error("a file without agents must be refused")
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("a fault holds a secret: %v", err)
		}
	})
}
