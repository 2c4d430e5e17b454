package otlp_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestContent(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	var deep any = "bottom"
	for range 40 {
		deep = []any{deep}
	}
	kept := strings.Repeat("[", 33) + `"[nested too deep]"` + strings.Repeat("]", 33)
	for name, tt := range map[string]struct {
		says  says
		input string // as stored
	}{
		"none":                           {},
		"of no type":                     {says: says{"gen_ai.input.messages": nil}},
		"roles alone, and a text":        {says: says{"llm.input_messages.0.message.role": "user", "input.value": "Hello"}, input: `"Hello"`},
		"a text":                         {says: says{"input.value": "Hello"}, input: `"Hello"`},
		"an empty text":                  {says: says{"input.value": ""}, input: `""`},
		"a number in a text":             {says: says{"input.value": "1e999"}, input: `"1e999"`},
		"a document in a text":           {says: says{"input.value": ` {"a": [1, null]} `}, input: `{"a": [1, null]}`},
		"a text that begins like one":    {says: says{"input.value": "{hello}"}, input: `"{hello}"`},
		"two documents in a text":        {says: says{"input.value": "{}{}"}, input: `"{}{}"`},
		"a text with a NUL":              {says: says{"input.value": "a\x00b"}, input: `"a�b"`},
		"a document with a NUL":          {says: says{"input.value": `{"a\u0000b":"c\u0000d"}`}, input: `{"a�b":"c�d"}`},
		"half a character in a document": {says: says{"input.value": `{"a":"\ud83d"}`}, input: `{"a":"�"}`},
		"a number that is too large":     {says: says{"input.value": `[1e400000]`}, input: `["1e400000"]`},
		"a boolean":                      {says: says{"input.value": true}, input: `true`},
		"an integer":                     {says: says{"input.value": math.MaxInt64}, input: `9223372036854775807`},
		"a double":                       {says: says{"input.value": 1.5e-9}, input: `1.5e-09`},
		"no number":                      {says: says{"input.value": math.NaN()}, input: `"NaN"`},
		"infinity":                       {says: says{"input.value": math.Inf(-1)}, input: `"-Inf"`},
		"bytes":                          {says: says{"input.value": []byte{0, 255}}, input: `"AP8="`},
		"a list":                         {says: says{"input.value": []any{"a", nil, []any{}, says{}}}, input: `["a",null,[],{}]`},
		"an object":                      {says: says{"input.value": says{"b": 1, "a": says{"c": "[]"}, "x\x00": 2}}, input: `{"a":{"c":[]},"b":1,"x�":2}`},
		"a list that is too deep":        {says: says{"input.value": deep}, input: kept},
		"a document that is too deep":    {says: says{"input.value": nested(100)}, input: `"` + nested(100) + `"`},
		"a document deep in a list":      {says: says{"input.value": []any{[]any{nested(63)}}}, input: `"[[` + nested(63) + `]]"`},

		"instructions alone":                         {says: says{"gen_ai.system_instructions": "Be brief."}, input: `[{"role":"system","parts":"Be brief."}]`},
		"instructions and nothing":                   {says: says{"gen_ai.system_instructions": "Be brief.", "gen_ai.input.messages": "[]"}, input: `[{"role":"system","parts":"Be brief."},[]]`},
		"instructions and a text":                    {says: says{"gen_ai.system_instructions": "Be brief.", "input.value": "Hello"}, input: `[{"role":"system","parts":"Be brief."},"Hello"]`},
		"instructions and messages":                  {says: says{"gen_ai.system_instructions": "Be brief.", "gen_ai.input.messages": `[{"role":"user"}]`}, input: `[{"role":"system","parts":"Be brief."},{"role":"user"}]`},
		"a list with gaps":                           {says: says{"gen_ai.prompt.7": "b", "gen_ai.prompt.10": "c", "gen_ai.prompt.1.role": "user"}, input: `[{"role":"user"},"b","c"]`},
		"messages of which only the roles are there": {says: says{"llm.input_messages.0.message.role": "user", "input.value": "b"}, input: `"b"`},
		"a value beside its parts":                   {says: says{"gen_ai.prompt.0.content": "a", "gen_ai.prompt.0.content.0.text": "b"}, input: `[{"content":{"0":{"text":"b"},"value":"a"}}]`},
		"a name with too many dots":                  {says: says{"gen_ai.prompt.0." + strings.Repeat("a.", 30) + "b": "x"}, input: `[` + strings.Repeat(`{"a":`, 14) + `{"` + strings.Repeat("a.", 16) + `b":"x"}` + strings.Repeat("}", 14) + `]`},
		"names that are almost a list":               {says: says{"gen_ai.prompt.": "a", "gen_ai.prompt.x": "b", "gen_ai.prompt.-1": "c"}},
		"a wrapper of nothing":                       {says: says{"llm.input_messages.0.message": "a"}, input: `[{"message":"a"}]`},
		"the first counts":                           {says: says{"gen_ai.prompt": "a", "gen_ai.prompt.0.content": "c", "input.value": "b"}, input: `[{"content":"c"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := one(t, newSpan(1, 0, chat.with(tt.says)))
			if string(got.Input) != tt.input {
				t.Errorf("%s, not %s", got.Input, tt.input)
			}
			if got.Input != nil && !json.Valid(got.Input) {
				t.Error("that is no JSON")
			}
		})
	}
}
