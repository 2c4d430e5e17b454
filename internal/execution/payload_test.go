package execution_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/redact"
)

func redaction(t testing.TB, rules ...string) redact.Rules {
	t.Helper()
	r, err := redact.ParseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStorable checks that payloads that can be stored stay unchanged, and that all others become storable.
func TestStorable(t *testing.T) {
	t.Parallel()
	nested := func(depth int) string { return strings.Repeat(`{"a":[`, depth/2) + strings.Repeat(`]}`, depth/2) }
	for _, tt := range []struct {
		name, payload string
		storable      bool
	}{
		{"an object", `{"a":[1,-2.5e3,"x",true,null],"a":{}}`, true},
		{"a string", ` "text" `, true},
		{"a number", `1`, true},
		{"a number that no float64 holds exactly", `123456789012345678901234567890.000000000000000000001`, true},
		{"null", `null`, true},
		{"false", ` [false , [ ] , { } ] `, true},
		{"nested", nested(64), true},
		{"what only looks like a NUL", `{"\\u0000":"\\u0000"}`, true},
		{"a surrogate pair", `"\ud83d\ude00"`, true},
		{"every escape", `"\"\\\/\b\f\n\r\t\u00e9\uFFFF"`, true},
		{"as large as numbers may be", `[1e308,1e-400]`, true},
		{"nested too deep", strings.Repeat("[", 65) + strings.Repeat("]", 65), false},
		{"nested far too deep", strings.Repeat("[", 20_000), false},
		{"no JSON", `{a}`, false},
		{"nothing but blanks", `  `, false},
		{"cut", `{"a":"b`, false},
		{"cut after a name", `{"a"`, false},
		{"cut after a comma", `[1,`, false},
		{"a comma too many", `[1,]`, false},
		{"a comma too many in an object", `{"a":1,}`, false},
		{"a member without a name", `{1}`, false},
		{"the wrong bracket", `[1}`, false},
		{"two values", `{} {}`, false},
		{"two numbers", `1 2`, false},
		{"more after it", `[]]`, false},
		{"a leading zero", `01`, false},
		{"a number that ends in its point", `[1.]`, false},
		{"a number that ends in its exponent", `[1e]`, false},
		{"half a word", `[tru]`, false},
		{"a control character", "\"\x01\"", false},
		{"half a surrogate pair", `"\ud83d"`, false},
		{"the second half of a pair", `"\ude00\ud83d"`, false},
		{"an escape that is none", `"\x41"`, false},
		{"NaN", `NaN`, false},
		{"no UTF-8", "\"\xff\"", false},
		{"a NUL", `["a\u0000b"]`, false},
		{"a NUL in a name", `{"a\u0000b":1}`, false},
		{"a NUL beside what only looks like one", `["\\u0000","\\\u0000"]`, false},
		{"more than a float64 holds", `{"a":1e309}`, false},
		{"an exponent that overflows", `1e99999999999999999999`, false},
		{"too long a number", strings.Repeat("1", 1025), false},
		{"four hundred digits", strings.Repeat("1", 400), false},
		{"numbers that grow", "[" + strings.Repeat("1e300,", 1000) + "1]", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := execution.Execution{Input: json.RawMessage(tt.payload), Output: json.RawMessage(tt.payload)}
			if fault := (execution.PayloadPolicy{Max: 1 << 20}).Apply(&e); fault != nil {
				t.Fatal(fault)
			}
			if same := string(e.Input) == tt.payload; same != tt.storable || !json.Valid(e.Input) || !utf8.Valid(e.Input) {
				t.Errorf("got %.200s", e.Input)
			}
			if string(e.Output) != string(e.Input) {
				t.Errorf("input became %.200s, output %.200s", e.Input, e.Output)
			}
		})
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		policy  execution.PayloadPolicy
		payload string
		want    string // prefix of the head; "-" if not truncated
	}{
		{"fits", execution.PayloadPolicy{Max: 300}, `"` + strings.Repeat("x", 298) + `"`, "-"},
		{"is a byte too large", execution.PayloadPolicy{Max: 300}, `"` + strings.Repeat("x", 299) + `"`, `"xxx`},
		{"default", execution.PayloadPolicy{}, `"` + strings.Repeat("x", execution.DefaultPayload) + `"`, `"xxx`},
		{"less than a head needs", execution.PayloadPolicy{Max: 1}, `["` + strings.Repeat("x", 300) + `"]`, `["xxx`},
		{"quotation marks", execution.PayloadPolicy{Max: 300}, `[` + strings.Repeat(`"\"\\\n\u0001",`, 100) + `1]`, `["\"\\\n\u0001",`},
		{"runes", execution.PayloadPolicy{Max: 301}, `["` + strings.Repeat("😀é", 100) + `"]`, `["😀é`},
		{"blanks", execution.PayloadPolicy{Max: 300}, strings.Repeat(" \t\r\n", 100) + "1", " \t\r\n"},
		{
			"what is cut is masked",
			execution.PayloadPolicy{Max: 300, Redact: redaction(t, "key:secret", "builtin:email")},
			`{"secret":"s3cr3t","x":"me@example.com","y":"` + strings.Repeat("me@example.com ", 100) + `"}`, `{"secret":"[redacted]","x":"[redacted]","y":"[redacted]`,
		},
		{
			"masks may make it fit",
			execution.PayloadPolicy{Max: 300, Redact: redaction(t, "key:secret")},
			`{"secret":"` + strings.Repeat("x", 1000) + `"}`, "-",
		},
		{
			"masks may make it too large",
			execution.PayloadPolicy{Max: 300, Redact: redaction(t, "pattern:a")},
			`"` + strings.Repeat("ab", 100) + `"`, `"[redacted]b[redacted]b`,
		},
		{
			"the mark may be masked",
			execution.PayloadPolicy{Max: 256, Redact: redaction(t, "key:*")},
			`["` + strings.Repeat("x", 300) + `"]`, "[redacted]",
		},
		{
			"the mark may grow",
			execution.PayloadPolicy{Max: 256, Redact: redaction(t, "key:truncated", "key:bytes")},
			`["` + strings.Repeat("x", 300) + `"]`, `["xxx`,
		},
		{
			"a pattern that matches whatever is at the end",
			execution.PayloadPolicy{Max: 300, Redact: redaction(t, "pattern:x$")},
			`["` + strings.Repeat("x", 400) + `"]`, "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := execution.Execution{Input: json.RawMessage(tt.payload)}
			if fault := tt.policy.Apply(&e); fault != nil {
				t.Fatal(fault)
			}
			limit := max(tt.policy.Max, execution.MinPayload)
			if tt.policy.Max == 0 {
				limit = execution.DefaultPayload
			}
			if len(e.Input) > limit || !json.Valid(e.Input) || !utf8.Valid(e.Input) {
				t.Fatalf("got %d bytes: %s", len(e.Input), e.Input)
			}
			var got struct {
				Truncated any
				Bytes     any
				Head      string
			}
			if tt.want == "-" {
				if _, marked := json.Unmarshal(e.Input, &got), got.Truncated; marked != nil {
					t.Errorf("got %s", e.Input)
				}
			} else if err := json.Unmarshal(e.Input, &got); err != nil || got.Truncated == nil || !strings.HasPrefix(got.Head, tt.want) {
				t.Errorf("want a head that begins with %s, got %v in %s", tt.want, err, e.Input)
			} else if got.Bytes != float64(len(tt.payload)) && got.Bytes != "[redacted]" {
				t.Errorf("want %d bytes, got %v", len(tt.payload), got.Bytes)
			} else if want := limit - 110; tt.policy.Redact.Empty() && len(e.Input) < want {
				t.Errorf("a head of %d bytes, though there is room", len(got.Head))
			}
			once := string(e.Input)
			if fault := tt.policy.Apply(&e); fault != nil || string(e.Input) != once {
				t.Errorf("applied again: %v, %s", fault, e.Input)
			}
		})
	}
}

func TestRefuseLargePayloads(t *testing.T) {
	t.Parallel()
	policy := execution.PayloadPolicy{Max: 300, Refuse: true, Redact: redaction(t, "key:big")}
	large := json.RawMessage(`"` + strings.Repeat("x", 300) + `"`)
	for field, e := range map[string]execution.Execution{"input_data": {Input: large}, "output_data": {Output: large}} {
		want := execution.Fault{Code: "payload_too_large", Field: field, Detail: "must be at most 300 bytes"}
		if got := policy.Apply(&e); got == nil || *got != want {
			t.Errorf("want %v, got %v", want, got)
		}
	}
	fits := execution.Execution{Input: json.RawMessage(`{"big":` + string(large) + `}`)}
	if fault := policy.Apply(&fits); fault != nil || string(fits.Input) != `{"big":"[redacted]"}` {
		t.Errorf("masked first, it fits: got %v, %s", fault, fits.Input)
	}
}

func TestErrorMessages(t *testing.T) {
	t.Parallel()
	policy := execution.PayloadPolicy{Redact: redaction(t, "key:password", "pattern:b", "builtin:secrets")}
	for _, tt := range []struct{ message, want string }{
		{"", ""},
		{"an outage", "an outage"},
		{`401: {"password":"x"}`, `401: {"password":"[redacted]"}`},
		{`{"password":"x","code":401}: refused`, `{"password":"[redacted]","code":401}: refused`},
		{"invalid key sk-proj-abcdefgh0123456789", "invalid key [redacted]"},
		{"not UTF-8 \xff, NUL \x00, b", "not UTF-8 \uFFFD, NUL \uFFFD, [redacted]"},
	} {
		e := execution.Execution{ErrorMessage: tt.message}
		for range 2 {
			if fault := policy.Apply(&e); fault != nil || e.ErrorMessage != tt.want {
				t.Errorf("%q: want %q, got %q, %v", tt.message, tt.want, e.ErrorMessage, fault)
			}
		}
	}
	long := execution.Execution{ErrorMessage: strings.Repeat("éb", execution.MaxErrorMessage/3)}
	for range 2 {
		if fault := policy.Apply(&long); fault != nil || len(long.ErrorMessage) > execution.MaxErrorMessage || len(long.ErrorMessage) < execution.MaxErrorMessage-48 {
			t.Errorf("got %d bytes, %v", len(long.ErrorMessage), fault)
		}
	}
	cut := execution.Execution{ErrorMessage: strings.Repeat("x", execution.MaxErrorMessage-9) + " sk-proj-abcdefgh0123456789"}
	if fault := policy.Apply(&cut); fault != nil || len(cut.ErrorMessage) > execution.MaxErrorMessage || strings.Contains(cut.ErrorMessage, "sk-") {
		t.Errorf("want what is cut to be masked before, got %q, %v", cut.ErrorMessage[execution.MaxErrorMessage-20:], fault)
	}
}

func TestSanitize(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 65) + strings.Repeat("]", 65)
	for _, tt := range []struct{ name, raw, want string }{
		{"nothing", "", ""},
		{"an object", `{"a": [1.50, "x"], "a": null}`, `{"a": [1.50, "x"], "a": null}`},
		{"a text", "Bonjour !", `"Bonjour !"`},
		{"a number in a text", "42", "42"},
		{"blanks", "  ", `"  "`},
		{"a text with quotation marks", `say "hi" \`, `"say \"hi\" \\"`},
		{"two values", `{"a":1} {"b":2}`, `"{\"a\":1} {\"b\":2}"`},
		{"cut", `{"a":"b`, `"{\"a\":\"b"`},
		{"too deep", deep, `"` + deep + `"`},
		{"NULs", `{"a\u0000":"b\u0000\\u0000", "c":1}`, `{"a` + "\uFFFD" + `":"b` + "\uFFFD" + `\\u0000", "c":1}`},
		{"a NUL in a text", "a\x00b", `"a` + "\uFFFD" + `b"`},
		{"no UTF-8 in JSON", "{\"a\xff\":\"b\xfe\", \"c\":\"d\"}", `{"a` + "\uFFFD" + `":"b` + "\uFFFD" + `", "c":"d"}`},
		{"no UTF-8 in a text", "a\xffb", `"a` + "\uFFFD" + `b"`},
		{"half a surrogate pair", `["\ud83d","x"]`, `["` + "\uFFFD" + `","x"]`},
		{"numbers out of range", `{"a":1e999,"b":[-1E-999],"c":2}`, `{"a":"1e999","b":["-1E-999"],"c":2}`},
	} {
		if got := string(execution.Sanitize([]byte(tt.raw))); got != tt.want {
			t.Errorf("%s: want %s, got %s", tt.name, tt.want, got)
		}
	}
	growing := execution.Sanitize([]byte("[" + strings.Repeat("1e300,", 5000) + "1]"))
	if got := strings.Count(string(growing), `"1e300"`); got != 5000-(256<<10)/300 {
		t.Errorf("%d numbers became strings", got)
	}
}

func FuzzSanitize(f *testing.F) {
	for _, raw := range []string{"", "x", `{"a":[1,"b\u0000",1e999]}`, "{\"\xff\":\"\\ud800\"}", "[[[1]]]", `{"a":1}{`, `"\u0000"`} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := execution.Execution{Input: execution.Sanitize(raw)}
		policy := execution.PayloadPolicy{Max: 1000}
		if fault := policy.Apply(&e); fault != nil {
			t.Errorf("%q became what cannot be stored: %v", raw, fault)
		}
		if again := execution.Sanitize(e.Input); string(again) != string(e.Input) {
			t.Errorf("%q: want the same again, got %q", e.Input, again)
		}
		if len(raw) > 0 && !json.Valid(e.Input) || len(e.Input) > 1000 {
			t.Errorf("%q became %d bytes: %q", raw, len(e.Input), e.Input)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	message := strings.Repeat(`{"role":"user","content":"Please write to me@example.com about order 12345, \"soon\"."},`, 500)
	payload := json.RawMessage(fmt.Sprintf(`{"messages":[%s]}`, strings.TrimSuffix(message, ",")))
	for name, rules := range map[string]redact.Rules{
		"no rules": {},
		"names":    redaction(b, "key:password", "key:*token*"),
		"builtins": redaction(b, "builtin:email", "builtin:credit-card", "builtin:secrets"),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				e := execution.Execution{Input: payload}
				if fault := (execution.PayloadPolicy{Max: 1 << 20, Redact: rules}).Apply(&e); fault != nil {
					b.Fatal(fault)
				}
			}
		})
	}
}

func BenchmarkSanitize(b *testing.B) {
	message := strings.Repeat(`{"role":"user","content":"Please write to me@example.com about order 12345, \"soon\"."},`, 100)
	clean := fmt.Sprintf(`{"messages":[%s]}`, strings.TrimSuffix(message, ","))
	for name, payload := range map[string]string{"clean": clean, "odd": strings.Replace(clean, "soon", `\ud83d`, 1)} {
		raw := []byte(payload)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				execution.Sanitize(raw)
			}
		})
	}
}

// BenchmarkRedactText masks a typical model response: prose with a block of JSON.
func BenchmarkRedactText(b *testing.B) {
	text := strings.Repeat("Here is what you asked for, as of today: the order is on its way.\n", 10) +
		"```json\n" + strings.Repeat(`{"order": 12345, "to": "me@example.com", "password": "hunter2"}`+"\n", 5) + "```\n"
	for name, rules := range map[string]redact.Rules{
		"names":    redaction(b, "key:password", "key:*token*"),
		"builtins": redaction(b, "builtin:email", "builtin:credit-card", "builtin:secrets"),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				rules.Text(text)
			}
		})
	}
}
