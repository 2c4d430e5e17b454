package redact_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/redact"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	nest := func(payload string, levels int) string { // JSON in a string in JSON in …
		for range levels {
			text, err := json.Marshal(payload)
			if err != nil {
				t.Fatal(err)
			}
			payload = string(text)
		}
		return payload
	}
	for _, tt := range []struct {
		name, rules string // separated by blanks
		raw, want   string
	}{
		{"nothing", "", `{"password":"x"}`, `{"password":"x"}`},
		{"a name", "key:password", `{"password":"x", "Other" : 1}`, `{"password":"[redacted]", "Other" : 1}`},
		{"in any case", "key:PassWord", `{"PASSWORD":"x"}`, `{"PASSWORD":"[redacted]"}`},
		{"in any spelling", "key:password", `{"p\u0061ssword":"x"}`, `{"p\u0061ssword":"[redacted]"}`},
		{"at any depth, whatever its value", "key:s", `{"a":[{"s":{"b":[1,{"s":2}]}},{"s":null}],"s":1.0e5}`, `{"a":[{"s":"[redacted]"},{"s":"[redacted]"}],"s":"[redacted]"}`},
		{"there twice", "key:s", `{"s":1,"s":2}`, `{"s":"[redacted]","s":"[redacted]"}`},
		{"only names", "key:s", `["s","t"]`, `["s","t"]`},
		{"only whole names", "key:s", `{"ss":"s"}`, `{"ss":"s"}`},
		{"a glob", "key:*token*", `{"tokens":1,"access_TOKEN":2,"tok":3}`, `{"tokens":"[redacted]","access_TOKEN":"[redacted]","tok":3}`},
		{"a name with a colon", "key:a:b", `{"a:b":1}`, `{"a:b":"[redacted]"}`},
		{"the rest stays as it was written", "key:s", ` { "n" : 1.2300e+4 , "u" : "\u00e9\/" , "s":1 } `, ` { "n" : 1.2300e+4 , "u" : "\u00e9\/" , "s":"[redacted]" } `},
		{"JSON in a string", "key:s", `{"content":"{\"s\":\"x\",\"n\":12345678901234567890}"}`, `{"content":"{\"s\":\"[redacted]\",\"n\":12345678901234567890}"}`},
		{"JSON in a string on its own", "key:s", nest(`{"s":"x"}`, 1), nest(`{"s":"[redacted]"}`, 1)},
		{"JSON in strings in strings", "key:s", nest(`{"s":"x"}`, 4), nest(`{"s":"[redacted]"}`, 4)},
		{"JSON lines in a string", "key:s", nest("{\"s\":1}\n {\"s\":2}\n", 1), nest("{\"s\":\"[redacted]\"}\n {\"s\":\"[redacted]\"}\n", 1)},
		{"JSON that ends in the middle", "key:s", nest(`{"a":{"s":"x"},"b":tru`, 1), nest(`{"a":{"s":"[redacted]"},"b":tru`, 1)},
		{"JSON that ends in what is masked", "key:s", nest(`{"a":1,"s": {"b":["x","y`, 1), nest(`{"a":1,"s": "[redacted]"`, 1)},
		{"JSON with blanks before it", "key:s", nest("\n {\"s\":1}", 1), nest("\n {\"s\":\"[redacted]\"}", 1)},
		{"a pattern", "pattern:ab+", `{"abb":"xabbbx abx","n":[1,"ab"]}`, `{"[redacted]":"x[redacted]x [redacted]x","n":[1,"[redacted]"]}`},
		{"a pattern sees what is written, not how", `pattern:é"`, `["a\u00e9\"b"]`, `["a[redacted]b"]`},
		{"a pattern that matches its mask", "pattern:[a-z]+", `["abc 1 def"]`, `["[redacted] 1 [redacted]"]`},
		{"a pattern that matches everything", "pattern:.*", `["abc",""]`, `["[redacted]",""]`},
		{"a pattern that matches nothing", "pattern:x*", `["abc"]`, `["abc"]`},
		{"numbers in JSON in a string", `pattern:\d{4}`, `{"n":1234,"t":"{\"n\":1234}"}`, `{"n":"[redacted]","t":"{\"n\":\"[redacted]\"}"}`},
		{"a mask that another pattern matches in part", `pattern:abc pattern:d.x`, `["abcx"]`, `["[redacted]"]`},
		{"masks that another pattern matches whole", `pattern:a pattern:\S{20}`, `["aa"]`, `["[redacted][redacted]"]`},
		{"rules that match in one another", `pattern:b builtin:secrets pattern:cd`, `["x ghp_abcdefghij0123456789abcd b"]`, `["x [redacted] [redacted]"]`},
		{"masks that make more match", `pattern:b|\Ba`, `["aaab","xbaaaaa"]`, `["a[redacted][redacted][redacted]","x[redacted][redacted][redacted][redacted][redacted][redacted]"]`},
		{"masks that make more match, over and over", `pattern:\ba`, `["aaaaaaaaaaaaaaaa"]`, `["[redacted]"]`},
		{
			"emails", "builtin:email",
			`["Jo Doe <jo.doe+x@mail.example.co.uk>, josé@exämple.de","@home a@b a@b.c x@y.zz","请写信给me@example.com谢谢","a@b.cc@d.ee, @@ a@b..cc x@y.zz.1."]`,
			`["Jo Doe <[redacted]>, [redacted]","@home a@b a@b.c [redacted]","请写信给[redacted]谢谢","[redacted]@d.ee, @@ a@b..cc [redacted].1."]`,
		},
		{
			"cards", "builtin:credit-card",
			`["4111 1111 1111 1111, 4111-1111-1111-1111","5500005555555559 378282246310005","4111111111111112","2024-08-06 1732550000001","12 4111 1111 1111 1111 12","41111111111111111111111"]`,
			`["[redacted], [redacted]","[redacted] [redacted]","4111111111111112","2024-08-06 1732550000001","12 [redacted] 12","41111111111111111111111"]`,
		},
		{"a card as a number in a string", "builtin:credit-card", nest(`{"card":4111111111111111}`, 1), nest(`{"card":"[redacted]"}`, 1)},
		{
			"secrets", "builtin:secrets",
			`["sk-ant-api03-abcdefghijklmnop","ghp_abcdefghij0123456789","AKIAIOSFODNN7EXAMPLE","Authorization: Bearer abcdefghij.0123456789==","wba_aB3-x","bearer token","task-force-of-the-century","sk-short","eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc","eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxIn0","beareR\tabcdefghij0123456789, x","forbearer abcdefghij0123456789"]`,
			`["[redacted]","[redacted]","[redacted]","Authorization: [redacted]","[redacted]","bearer token","task-force-of-the-century","sk-short","[redacted]","eyJhbGciOiJIUzI1NiJ9eyJzdWIiOiIxIn0","[redacted], x","forbearer abcdefghij0123456789"]`,
		},
		{"a private key", "builtin:secrets", `["x -----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4\nMIIE\n-----END RSA PRIVATE KEY----- y","-----BEGIN PRIVATE KEY-----\nMIIE"]`, `["x [redacted] y","[redacted]"]`},
		{"several rules", "key:s builtin:email pattern:x", `{"s":1,"t":"x a@b.cc"}`, `{"s":"[redacted]","t":"[redacted] [redacted]"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := redaction(t, strings.Fields(tt.rules)...)
			got := string(r.JSON(json.RawMessage(tt.raw)))
			if got != tt.want {
				t.Fatalf("want\n%s, got\n%s", tt.want, got)
			}
			if again := string(r.JSON(json.RawMessage(got))); again != got {
				t.Errorf("again: got\n%s", again)
			}
		})
	}
}

// TestRedactDoesNotModifyInput checks that the input is unchanged: it may be shared.
func TestRedactDoesNotModifyInput(t *testing.T) {
	t.Parallel()
	raw := json.RawMessage(`{"a":"{\"s\":\"x\"}","s":[1]}`)
	before := bytes.Clone(raw)
	redaction(t, "key:s").JSON(raw)
	if !bytes.Equal(raw, before) {
		t.Errorf("got %s", raw)
	}
}

func TestParseRedaction(t *testing.T) {
	t.Parallel()
	if r, err := redact.ParseRules(nil); err != nil || !r.Empty() {
		t.Errorf("no rules: got %v", err)
	}
	_, err := redact.ParseRules([]string{
		"key:ok", "password", "keys:x", "key:", "pattern:(", "builtin:iban", "pattern:a{1001}", "key:\xff", "pattern:" + strings.Repeat("x", 1000), "",
	})
	want := []string{
		`"password": must be key:NAME, pattern:REGEX or builtin:NAME`,
		`"keys:x": must be key:NAME, pattern:REGEX or builtin:NAME`,
		`"key:": has nothing after its colon`,
		"\"pattern:(\": error parsing regexp: missing closing ): `(`",
		`"builtin:iban": is not built in; email, credit-card and secrets are`,
		"\"pattern:a{1001}\": error parsing regexp: invalid repeat count: `{1001}`",
		`"key:\xff": must be at most 1000 bytes of UTF-8`,
		`"pattern:` + strings.Repeat("x", 52) + `…": must be at most 1000 bytes of UTF-8`,
		`"": must be key:NAME, pattern:REGEX or builtin:NAME`,
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("want\n%s, got\n%v", strings.Join(want, "\n"), err)
	}
	if _, err := redact.ParseRules(make([]string, 101)); err == nil {
		t.Error("want at most 100 rules")
	}
}

// unmasked returns members with a name whose value is not masked, in JSON and in the strings in it.
func unmasked(raw []byte, name string, depth int) []string {
	var found []string
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		var value any
		if err := d.Decode(&value); err != nil {
			if !errors.Is(err, io.EOF) && depth == 0 {
				found = append(found, err.Error())
			}
			return found
		}
		found = append(found, unmaskedIn(value, name, depth)...)
	}
}

func unmaskedIn(value any, name string, depth int) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			if strings.EqualFold(key, name) && member != "[redacted]" {
				found = append(found, key)
			}
			found = append(found, unmaskedIn(member, name, depth)...)
		}
	case []any:
		for _, element := range value {
			found = append(found, unmaskedIn(element, name, depth)...)
		}
	case string:
		if depth < 4 {
			found = append(found, unmasked([]byte(value), name, depth+1)...)
		}
	}
	return found
}

func FuzzRedact(f *testing.F) {
	for _, raw := range []string{
		`{"secret":"x"}`, `{"a":"{\"secret\":{\"b\":1}}"}`, `["a@b.cc 4111 1111 1111 1111 sk-abcdefghijklmnop0123"]`,
		`"{\"secret\":\"x"`, `{"SECRET":[{"secret":1}]}`, `"\"{\\\"secret\\\":1}\""`, `["[redacted]a","[redact","ed]"]`, `{"secret":1}{`,
		`"[{\"secret\":1},\u0001]"`, `["aab", "b"]`, `"{\"secret\" : \"[redacted]\" x"`,
	} {
		f.Add([]byte(raw), `a|\Bb$`, 300)
	}
	f.Fuzz(func(t *testing.T, raw []byte, pattern string, limit int) {
		rules := []string{"key:secret", "key:*pass*", "builtin:email", "builtin:credit-card", "builtin:secrets"}
		r, err := redact.ParseRules(append(rules, "pattern:"+pattern))
		if err != nil {
			r = redaction(t, rules...)
		}
		e := execution.Execution{Input: execution.Sanitize(raw), ErrorMessage: string(raw)}
		policy := execution.PayloadPolicy{Max: limit, Redact: r}
		if fault := policy.Apply(&e); fault != nil {
			t.Fatalf("%q: %v", raw, fault)
		}
		if found := unmasked(e.Input, "secret", 0); len(raw) > 0 && len(found) > 0 {
			t.Errorf("%q became %q: %v", raw, e.Input, found)
		}
		if len(e.ErrorMessage) > max(len(raw), execution.MaxErrorMessage) {
			t.Errorf("an error message of %d bytes", len(e.ErrorMessage))
		}
		once := e
		if fault := policy.Apply(&e); fault != nil || string(e.Input) != string(once.Input) || e.ErrorMessage != once.ErrorMessage {
			t.Errorf("%q, again: %v\n%q, %q\n%q, %q", raw, fault, once.Input, once.ErrorMessage, e.Input, e.ErrorMessage)
		}
	})
}
