package redact_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestRedactText checks that names and their values are found anywhere in what models read and write.
func TestRedactText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"a fenced block", "Here:\n```json\n{\"password\":\"hunter2\",\"n\":1}\n```\nDone.", "Here:\n```json\n{\"password\":\"[redacted]\",\"n\":1}\n```\nDone."},
		{"a fenced block that is cut", "```json\n{\"a\": {\"password\": \"hunt", "```json\n{\"a\": {\"password\": \"[redacted]"},
		{"prose before JSON", `Result: {"password":"hunter2"} as asked`, `Result: {"password":"[redacted]"} as asked`},
		{"a quotation mark before JSON", `A 5" disk: {"password":"hunter2"}`, `A 5" disk: {"password":"[redacted]"}`},
		{"blanks and lines around the colon", "x {\n  \"password\" :\n    \"hunter2\"\n}", "x {\n  \"password\" :\n    \"[redacted]\"\n}"},
		{"an object in prose", `see {"password":{"old":"a}","new":["b"]},"n":1}`, `see {"password":"[redacted]","n":1}`},
		{"a number in prose", `see {"password": 1234, "n":1}`, `see {"password": "[redacted]", "n":1}`},
		{"null in prose", `see {"password":null}`, `see {"password":"[redacted]"}`},
		{"braces before it", `{{{[[[ {"password":"hunter2"`, `{{{[[[ {"password":"[redacted]"`},
		{"escaped JSON in prose", `called with {\"password\":\"hunter2\",\"n\":1}`, `called with {\"password\":\"[redacted]\",\"n\":1}`},
		{"doubly escaped JSON in prose", `with {\\\"password\\\":\\\"hunter2\\\"}`, `with {\\\"password\\\":\\\"[redacted]\\\"}`},
		{"escaped JSON in JSON in prose", `Result: {"arguments":"{\"password\":\"hunter2\",\"n\":1}"}`, `Result: {"arguments":"{\"password\":\"[redacted]\",\"n\":1}"}`},
		{"a number in escaped JSON", `{\"password\":12,\"n\":1}`, `{\"password\":\"[redacted]\",\"n\":1}`},
		{"an escape in a value", `see {"password":"a\"b\\","n":1}`, `see {"password":"[redacted]","n":1}`},
		{"an escape in a name", `see {"p\u0061ssword":"x"}`, `see {"p\u0061ssword":"[redacted]"}`},
		{"escaped lines in JSON in prose", `see {"env":"A=1\npassword: hunter2\nB=2"}`, `see {"env":"A=1\npassword: [redacted]\nB=2"}`},
		{"Python", `{'password': 'hunter2', 'n': 1}`, `{'password': '[redacted]', 'n': 1}`},
		{"Python with other marks", `{'password': "it's", 'n': None}`, `{'password': "[redacted]", 'n': None}`},
		{"Python with an escape", `{'password': 'it\'s', 'n': True}`, `{'password': '[redacted]', 'n': True}`},
		{"Python with bytes", `{'password': b'hunter2', 'n': 1}`, `{'password': b'[redacted]', 'n': 1}`},
		{"Python with a list", `{'password': ['a', {'b': "c]"}], 'n': 1}`, `{'password': '[redacted]', 'n': 1}`},
		{"Python with a name", `{'password': None, 'n': 1}`, `{'password': '[redacted]', 'n': 1}`},
		{"arguments", `login(user="ada", password="hunter2", n=1)`, `login(user="ada", password="[redacted]", n=1)`},
		{"arguments without marks", `Login(password=hunter2)`, `Login(password=[redacted])`},
		{"three marks", `password = """a "b" c""" # x`, `password = """[redacted]""" # x`},
		{"an index", `os.environ["password"] = "hunter2"`, `os.environ["password"] = "[redacted]"`},
		{"Ruby", `{"password" => "hunter2"}`, `{"password" => "[redacted]"}`},
		{"JavaScript", `{user: "ada", password: "hunter2", n: 1}`, `{user: "ada", password: "[redacted]", n: 1}`},
		{"JavaScript with an object", `{password: {old: "a"}, n: 1}`, `{password: [redacted], n: 1}`},
		{"a query", `https://x.example/login?user=ada&password=hunter2&n=1`, `https://x.example/login?user=ada&password=[redacted]&n=1`},
		{"a form", `password=hunt%20er+2&n=1`, `password=[redacted]&n=1`},
		{"a form with brackets", `user[password]=hunter2&n=1`, `user[password]=[redacted]&n=1`},
		{"a form with escaped brackets", `user%5Bpassword%5D=hunter2&n=1`, `user%5Bpassword%5D=[redacted]&n=1`},
		{"logfmt", `level=info password=hunter2 n=1`, `level=info password=[redacted] n=1`},
		{"pairs", `user=ada, password=hunter2, n=1`, `user=ada, password=[redacted], n=1`},
		{"pairs without blanks", `user=ada;password=hunt,er2;n=1`, `user=ada;password=[redacted];n=1`},
		{"a shell", `PASSWORD='hunt er2' ./run --password=hunter2 -v`, `PASSWORD='[redacted]' ./run --password=[redacted] -v`},
		{"properties", "spring.password = hunter2 x\nn=1", "spring.password = [redacted]\nn=1"},
		{"YAML", "user: ada\npassword: correct horse\nn: 1", "user: ada\npassword: [redacted]\nn: 1"},
		{"YAML in a list", "- user: ada\n- password: correct horse # x\n", "- user: ada\n- password: [redacted]\n"},
		{"YAML with a block", "a:\n  password: |\n    hunter2\n\n    more\n  n: 1", "a:\n  password: |\n    [redacted]\n  n: 1"},
		{"YAML with members", "password:\n  old: a\n  new: b\nn: 1", "password:\n  [redacted]\nn: 1"},
		{"YAML with a list", "password:\n- a\n- b\nn: 1", "password:\n[redacted]\nn: 1"},
		{"nothing under it", "password:\n\nn: 1", "password:\n\nn: 1"},
		{"a header", "GET / HTTP/1.1\r\nPassword: Basic YWRhOng=\r\nHost: x", "GET / HTTP/1.1\r\nPassword: [redacted]\r\nHost: x"},
		{"in a sentence", `Use the password: hunter2 and go on.`, `Use the password: [redacted] and go on.`},
		{"a scheme in a sentence", `with password: Bearer abc and so on`, `with password: [redacted] and so on`},
		{"in quotation marks", `He wrote "password: correct horse" there.`, `He wrote "password: [redacted]" there.`},
		{"in bold", "- **Password:** hunter2\n- **password**: hunter2", "- **Password:** [redacted]\n- **password**: [redacted]"},
		{"in a mark of code", "`password`: `hunter2`, yes", "`password`: `[redacted]`, yes"},
		{"in an element", "<user>ada</user><password>hunter2</password>", "<user>ada</user><password>[redacted]</password>"},
		{"in an attribute's element", `<parameter name="password">hunter2</parameter>`, `<parameter name="password">[redacted]</parameter>`},
		{"wide marks", "我的密码：hunter2 password：hunter2 x", "我的密码：[redacted] password：[redacted] x"},
		{"a name of two words", "card number: 12 34\nn: 1", "card number: [redacted]\nn: 1"},
		{"a glob", `my_token=abc tokens: {"access_token": "x"}`, `my_token=[redacted] tokens: [redacted]`},
		{"only whole names", `passwords: x, "xpassword": "y", mypassword=z, password-hint: q`, `passwords: x, "xpassword": "y", mypassword=z, password-hint: q`},
		{"only names", `"password", 'password' and password are names; a = "password"`, `"password", 'password' and password are names; a = "password"`},
		{"no value", `password= & "password": , <password></password> password:`, `password= & "password": , <password></password> password:`},
		{"a mask of old", `password: [redacted]hunter2`, `password: [redacted]`},
		{"a mask of old, and more", `see password=[redacted]&n=1, {"password":"[redacted]"}`, `see password=[redacted]&n=1, {"password":"[redacted]"}`},
		{"a string that does not end", `"password":"hunter2`, `"password":"[redacted]`},
		{"a string around that ends", `{"a":"{\"password\":\"hun","n":1}`, `{"a":"{\"password\":\"[redacted]","n":1}`},
		{"a list that does not end", `x {"password":["a",{"b":1`, `x {"password":"[redacted]"`},
		{"a list in a string that ends", `{"a":"{\"password\":[1,2","n":1}`, `{"a":"{\"password\":\"[redacted]\"","n":1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := redaction(t, "key:password", "key:*token*", "key:card number", "key:密码")
			got := r.Text(tt.text)
			if got != tt.want {
				t.Fatalf("want\n%s, got\n%s", tt.want, got)
			}
			if again := r.Text(got); again != got {
				t.Errorf("again: got\n%s", again)
			}
			quoted, err := json.Marshal(map[string]any{"a": []string{tt.text}})
			if err != nil {
				t.Fatal(err)
			}
			var in struct{ A []string }
			if err := json.Unmarshal(r.JSON(quoted), &in); err != nil || len(in.A) != 1 || in.A[0] != tt.want {
				t.Errorf("in a payload: want\n%s, got\n%s", tt.want, in.A)
			}
		})
	}
}

func TestRedactValuesInAnyPosition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, raw, want string }{
		{"a name", `{"ada@example.com":1}`, `{"[redacted]":1}`},
		{"names that become the same", `{"a@b.cc":1,"c@d.ee":2,"n":{"e@f.gg":3}}`, `{"[redacted]":1,"[redacted] 2":2,"n":{"[redacted]":3}}`},
		{"a number", `{"card":4111111111111111,"n":[4111111111111112,4111111111111111]}`, `{"card":"[redacted]","n":[4111111111111112,"[redacted]"]}`},
		{"a number with a point", `[4111111111111111.0]`, `["[redacted]"]`},
		{"a number with an exponent", `[4.111111111111111E15,4.1e15]`, `["[redacted]",4.1e15]`},
		{"a number in prose", `["see {\"card\": 4111111111111111, \"n\":1}"]`, `["see {\"card\": \"[redacted]\", \"n\":1}"]`},
		{"a number that is all", `4111111111111111`, `"[redacted]"`},
		{"an escaped sign in prose", `["see {\"mail\":\"ada\\u0040example.com\"}"]`, `["see {\"mail\":\"[redacted]\"}"]`},
		{"after an escaped line", `["see {\"mail\":\"x\\nada@example.com\"}"]`, `["see {\"mail\":\"x\\n[redacted]\"}"]`},
		{"JSON in a name", `{"password=hunter2":1}`, `{"password=[redacted]":1}`},
		{"what is cut already", `{"truncated":true,"bytes":4111,"head":"ada@example.com"}`, `{"truncated":true,"bytes":4111,"head":"[redacted]"}`},
	} {
		r := redaction(t, "builtin:email", "builtin:credit-card", "key:password", `pattern:\b4111\b`)
		got := string(r.JSON(json.RawMessage(tt.raw)))
		if got != tt.want {
			t.Errorf("%s: want\n%s, got\n%s", tt.name, tt.want, got)
		}
		if again := string(r.JSON(json.RawMessage(got))); again != got {
			t.Errorf("%s, again: got\n%s", tt.name, again)
		}
	}
}

// TestRedactIsLinear checks that hostile texts take time in proportion to their size. Since machines are busy, it
// allows eight times the size much more than eight times the time; quadratic algorithms take 64 times as long.
func TestRedactIsLinear(t *testing.T) { // not in parallel with tests that would slow it
	r := redaction(t, "key:password", "key:*token*", "key:card number", "builtin:email", "builtin:credit-card", "builtin:secrets", `pattern:\d{3}-\d{4}`)
	falling := func(n int) string {
		var b strings.Builder
		for b.WriteString(`"`); b.Len() < n; {
			for run := 300; run > 0; run-- {
				b.WriteString(strings.Repeat(`\`, run) + `":`)
			}
		}
		return b.String()
	}
	repeat := func(s string) func(int) string { return func(n int) string { return strings.Repeat(s, n/len(s)) } }
	for name, text := range map[string]func(n int) string{
		"braces":                repeat("{"),
		"brackets with names":   repeat(`{"a":[`),
		"names masked":          repeat(`{"password":`),
		"objects masked":        repeat(`{"password":{`),
		"fences":                repeat("```json\n{\n"),
		"colons":                repeat(":"),
		"names without values":  repeat("password:"),
		"names on lines":        repeat("password:\n"),
		"names and blank lines": repeat("password:\n\n\n\n"),
		"blocks":                repeat("password: |\n  x\n"),
		"marks and colons":      repeat(`":`),
		"single marks":          repeat(`':`),
		"backslashes":           repeat(`\`),
		"backslashes and marks": repeat(`\"`),
		"escaped names":         repeat(`\"password\":\"`),
		"falling levels":        falling,
		"at signs":              repeat("a@"),
		"addresses":             repeat("a@b.c."),
		"digits":                repeat("4"),
		"digits and blanks":     repeat("4 "),
		"elements":              repeat("<password>"),
		"pairs":                 repeat("password=a,"),
		"stars":                 repeat("*"),
		"wide colons":           repeat("：password"),
		"blanks and colons":     repeat("          :"),
		"percent signs":         repeat("password%5B="),
		"private keys":          repeat("-----BEGIN "),
	} {
		elapsed := func(n int) time.Duration {
			best := time.Hour
			for range 5 {
				begun := time.Now()
				r.Text(text(n))
				best = min(best, time.Since(begun))
			}
			return best
		}
		small, large := elapsed(32<<10), elapsed(256<<10)
		if large > 32*small+100*time.Millisecond {
			t.Errorf("%s: 32 KiB take %s, 256 KiB %s", name, small, large)
		}
	}
}

// TestRedactHostileNesting checks that strings of JSON nested far deeper than they are decoded are masked too.
func TestRedactHostileNesting(t *testing.T) {
	t.Parallel()
	r := redaction(t, "key:password")
	payload := `{"password":"hunter2"}`
	for level := range 12 {
		quoted, err := json.Marshal(map[string]string{"a": payload})
		if err != nil {
			t.Fatal(err)
		}
		payload = string(quoted)
		e := execution.Execution{Input: json.RawMessage(payload)}
		if fault := (execution.PayloadPolicy{Max: 1 << 20, Redact: r}).Apply(&e); fault != nil {
			t.Fatal(fault)
		}
		if strings.Contains(string(e.Input), "hunter2") || !json.Valid(e.Input) {
			t.Errorf("%d deep: got %.300s", level+1, e.Input)
		}
	}
}
