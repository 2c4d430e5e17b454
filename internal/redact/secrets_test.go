package redact

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRedactText(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "agent a-1 is late: 3 deployments", "agent a-1 is late: 3 deployments"},
		{"empty", "", ""},
		{"words that only sound secret", "unknown token, a key of none", "unknown token, a key of none"},
		{"an error about a token", "decode token: unexpected end", "decode token: unexpected end"},
		{"plain speech", "a bearer token is missing, basic checks passed", "a bearer token is missing, basic checks passed"},
		{"SQL", "no row for token_hash = $1 here", "no row for token_hash = [redacted] here"},
		{"host and port", "dial 10.1.2.3:5432: refused", "dial 10.1.2.3:5432: refused"},

		{"bearer", "got Bearer abc.def-ghi==, sorry", "got Bearer [redacted] sorry"},
		{"bearer in any case", "BEARER\tabc", "BEARER\t[redacted]"},
		{"bearer encoded", "x=bearer%20abc", "x=bearer%20[redacted]"},
		{"basic", "Basic dXNlcjpwdw== here", "Basic [redacted] here"},
		{"agent's token", "agent sent wba_aB3-_x (bad)", "agent sent wba_[redacted] (bad)"},
		{"agent's token encoded", "wba%5FaB3 wba%255FaB3", "wba_[redacted] wba_[redacted]"},
		{"agent's token in quotes", `"wba_x"`, `"wba_[redacted]"`},

		{"postgres", "dial postgres://u:p@h:5432/d?x=1: no", "dial postgres://u:[redacted]@h:5432/d?x=1: no"},
		{"postgresql", "postgresql://u:p@h/d", "postgresql://u:[redacted]@h/d"},
		{"postgres with odd passwords", "postgres://u:a/b@c?d#e@h/d", "postgres://u:[redacted]@h/d"},
		{"postgres with a blank", "postgres://u:a b@h/d", "postgres://u:[redacted]@h/d"},
		{"postgres cut short", "postgres://u:passw…", "postgres://u:[redacted]"},
		{"postgres without password", "postgres://u@h:5432/d postgres://h:5432/d", "postgres://u@h:5432/d postgres://h:5432/d"},
		{"postgres by keywords", "host=h user=u password=p dbname=d", "host=h user=u password=[redacted] dbname=d"},
		{"postgres by quoted keywords", "user=u password='a \\' b' dbname=d", "user=u password=[redacted] dbname=d"},
		{"password in the query", "postgres://h/d?user=u&password=p&x=1", "postgres://h/d?user=u&password=[redacted]&x=1"},
		{"a URL within a URL", "postgres://h/postgres://u:p@h x", "postgres://[redacted] x"},
		{"other URLs", "GET https://me:pw@example.org/x", "GET https://[redacted]@example.org/x"},

		{"assigned", "admin_token=abc&x=1", "admin_token=[redacted]&x=1"},
		{"environment", "ADMIN_TOKEN=a,b;c next", "ADMIN_TOKEN=[redacted] next"},
		{"flag", "--enrollment-token=abc --x=1", "--enrollment-token=[redacted] --x=1"},
		{"blanks around", "password = abc d", "password = [redacted] d"},
		{"quoted", `secret="a \" b" x`, `secret=[redacted] x`},
		{"quoted twice", `said "token=\"a b\" x"`, `said "token=[redacted]`},
		{"open quote", `secret="a b c`, `secret=[redacted]`},
		{"encoded", "next=/x%3Fadmin_token%3Dabc", "next=/x%3Fadmin_token%3D[redacted]"},

		{"JSON", `{"admin_token": "abc", "x": "y"}`, `{"admin_token": [redacted], "x": "y"}`},
		{"JSON in a string", `"{\"token\":\"a b\"}"`, `"{\"token\":[redacted]`},
		{"Go struct", "{AdminToken:abc Level:info}", "{AdminToken:[redacted] Level:info}"},
		{"Go struct with names quoted", `{AdminToken:"a b", Level:"info"}`, `{AdminToken:[redacted], Level:"info"}`},
		{"Go map", "map[X-Admin-Token:[abc] X:[y]]", "map[X-Admin-Token:[redacted] X:[y]]"},
		{"header", "Authorization: Digest a=b, c=d\r\nAccept: x", "Authorization: [redacted]\r\nAccept: x"},
		{"header of ours", "X-Admin-Token: abc\nx", "X-Admin-Token: [redacted]\nx"},
		{"YAML", "token: 0123456789abcdef\nx: y", "token: [redacted]\nx: y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Text(tt.text)
			if got != tt.want {
				t.Errorf("RedactText(%q)\n got %q\nwant %q", tt.text, got, tt.want)
			}
		})
	}
}

func TestRedactURL(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"nothing", "/api/agents?limit=5&label=a%3Db", "/api/agents?limit=5&label=a%3Db"},
		{"no query", "/api/agents/a%2Fb", "/api/agents/a%2Fb"},
		{"empty", "", ""},
		{"empty query", "/x?", "/x?"},
		{"admin token", "/x?admin_token=abc&y=1", "/x?admin_token=[redacted]&y=1"},
		{"case", "/x?ADMIN_Token=abc", "/x?ADMIN_Token=[redacted]"},
		{"name encoded", "/x?admin_%74oken=abc&y=1", "/x?admin_%74oken=[redacted]&y=1"},
		{"name encoded twice", "/x?%2561pi%256bey=abc", "/x?%2561pi%256bey=[redacted]"},
		{"name encoded often", "/x?%2525252525256bey=abc", "/x?[redacted]"},
		{"malformed beside it", "/x?%zz=%&a%6=1&t%6fken=abc%", "/x?%zz=%&a%6=1&t%6fken=[redacted]"},
		{"semicolons", "/x?a=1;secret=abc;b=2", "/x?a=1;secret=[redacted]"},
		{"second question mark", "/x?a=1?p%61ssword=abc", "/x?a=1?p%61ssword=[redacted]"},
		{"fragment", "/x#access_t%6fken=abc", "/x#access_t%6fken=[redacted]"},
		{"equals in the value", "/x?token=a=b==", "/x?token=[redacted]"},
		{"value empty", "/x?token=&a=1", "/x?token=[redacted]&a=1"},
		{"hidden in a value", "/x?next=%2Fy%3Fadmin_t%6Fken%3Dabc&a=1", "/x?next=[redacted]&a=1"},
		{"hidden in the path", "/x%3Fadmin_t%6fken=abc", "[redacted]"},
		{"agent's token in the path", "/x/wba_abc/y", "/x/wba_[redacted]/y"},
		{"agent's token as a parameter", "/x?wb%61_abc", "/x?[redacted]"},
		{"whole URL", "https://u:p@h/x?key=1", "https://[redacted]@h/x?key=[redacted]"},
		{"password in a whole URL", "https://u:p%3Fq@h/x", "https://[redacted]@h/x"},
		{"plus signs", "/x?a=b+c&tok+en=1", "/x?a=b+c&tok+en=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := URL(tt.raw); got != tt.want {
				t.Errorf("RedactURL(%q)\n got %q\nwant %q", tt.raw, got, tt.want)
			}
		})
	}
}

// sentinel is a secret with letters that occur in no pattern, mark or test input.
const sentinel = "zq7jx5vh"

func FuzzRedactText(f *testing.F) {
	for _, text := range []string{"x", `{"token":"a"}`, "postgres://u:p@h", "Bearer x", `key="\"`, "a: b", "wba_", "pwd ='", "postgres", "postgres://0/"} {
		f.Add(text, "", uint8(0))
		f.Add("", text, uint8(1))
	}
	hide := []string{
		"admin_token=" + sentinel, "Bearer " + sentinel, "wba_" + sentinel, "postgres://u:" + sentinel + "@h/d",
		`"password":"` + sentinel + `"`, "Authorization: " + sentinel, "https://u:" + sentinel + "@h",
		"X-Admin-Token:[" + sentinel + "]", "Secret:" + sentinel, "api_key = '" + sentinel + "'",
	}
	f.Fuzz(func(t *testing.T, before, after string, which uint8) {
		text := before + hide[int(which)%len(hide)] + after
		if IsSecretName(before) || look(before).scheme || strings.Contains(before+after, sentinel) {
			return // before starts another secret, which may end inside this one
		}
		got := Text(text)
		if strings.Contains(got, sentinel) {
			t.Fatalf("RedactText(%q) = %q", text, got)
		}
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("RedactText(%q) = %q, which is not UTF-8 any more", text, got)
		}
	})
}

func FuzzRedactURL(f *testing.F) {
	for _, name := range []string{"admin_token", "ADMIN%5ftoken", "%61pi-key", "x%zzsecret"} {
		f.Add("/x?a=1&", name, "&b=2")
		f.Add("%", name, "%3")
		f.Add("?%2", name, ";#")
	}
	f.Fuzz(func(t *testing.T, before, name, after string) {
		decoded, err := url.QueryUnescape(name)
		if err != nil || !IsSecretName(decoded) || strings.ContainsAny(name, "&;?#=") || strings.Contains(before+name+after, sentinel) {
			return
		}
		raw := "/x?" + before + "&" + name + "=" + sentinel + after
		if got := URL(raw); strings.Contains(got, sentinel) {
			t.Fatalf("RedactURL(%q) = %q", raw, got)
		}
		if got := Query(raw[3:]); strings.Contains(got, sentinel) {
			t.Fatalf("RedactQuery(%q) = %q", raw[3:], got)
		}
	})
}
