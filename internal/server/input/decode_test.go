package input

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/problem"
)

func TestStorableNumbers(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]bool{
		"0": true, "-0": true, "1e308": true, "-1.5e-300": true, "0e400": true, "123456789012345678901234567890": true, "5e-324": true, "1e-400": true,
		"1e309": false, "-1e309": false, "1e401": false, "0e401": false, "1e-401": false, "1e999999": false, "0e-999999": false,
		"1e99999999999999999999": false, "1" + strings.Repeat("0", 400): false, "0." + strings.Repeat("0", 1024) + "1": false,
	} {
		if _, got := storable(number); got != want {
			t.Errorf("%s: got %v, want %v", problem.Clip(number), got, want)
		}
	}
}

// What the opaque members of a body may contain, in addition to the cases of badbody_test.go.
func TestOpaqueMembers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ spec, code, field string }{
		"anything":               {`{"a":[1,null,{"b":null}],"ключ":"\u0041\\u0000","":{}}`, "", ""},
		"as deep as may be":      {strings.Repeat(`{"a":`, 63) + "1" + strings.Repeat("}", 63), "", ""},
		"too deep":               {strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), "too_deep", problem.Clip("spec" + strings.Repeat(".a", 63))},
		"a duplicate":            {`{"a":[{"b":1,"c":2,"b":3}]}`, "duplicate_field", "spec.a[0].b"},
		"a duplicate spelt else": {`{"b":1,"\u0062":3}`, "duplicate_field", "spec.b"},
		"a NUL":                  {`{"a":{"b":["x","\u0000"]}}`, "nul_character", "spec.a.b[1]"},
		"a number":               {`{"a":{"b":[1e999]}}`, "number_out_of_range", "spec.a.b[0]"},
		"too many digits":        {`{"a":[` + strings.Repeat("1e-300,", 1000) + `1]}`, "number_out_of_range", "spec.a[873]"},
		"invalid UTF-8":          {"{\"a\":{\"b\":\"\xc3\x28\"}}", "invalid_utf8", "spec.a.b"},
		"half a pair":            {`{"a":"\udc00\ud800"}`, "malformed_json", "spec.a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var body openapi.CreateDeploymentsRequest
			err := DecodeJSON([]byte(`{"name":"n","spec":`+tt.spec+`}`), &body, "spec")
			var p *openapi.Problem
			switch {
			case tt.code == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.code == "" && string(body.Spec) != tt.spec:
				t.Errorf("got %s", body.Spec)
			case tt.code != "" && (!errors.As(err, &p) || p.Code != tt.code || p.Field != tt.field):
				t.Errorf("got %+v, want %s of %s", p, tt.code, tt.field)
			}
		})
	}
}

// Every accepted body is JSON that PostgreSQL can store, and every rejected one gets a complete problem.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"agent_ids":["a"],"selector":"a=b","name":"n","spec":{"a":[1,2.5e10,null,true,"x"]},"max_attempts":3,"lease_seconds":300}`,
		`{"spec":{"a":"\u0000"}}`, `{"spec":{"a":1e999}}`, `{"name":"\ud800"}`, `{"name":1}`, `{"a":1,"a":2}`, `{}{}`, "{\"\xff\":1}", `{"spec":{"/~1":{"0":[[]]}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var into openapi.CreateDeploymentsRequest
		err := DecodeJSON(body, &into, "spec")
		if err == nil {
			if !json.Valid(body) || !utf8.Valid(body) {
				t.Fatalf("accepted what is not JSON: %q", body)
			}
			for _, s := range append(into.AgentIDs, into.Name, into.Selector) {
				if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
					t.Fatalf("accepted a string that cannot be stored: %q", s)
				}
			}
			return
		}
		var p *openapi.Problem
		if !errors.As(err, &p) || p.Status != 400 || p.Code == "" || p.Detail == "" || !utf8.ValidString(p.Field+p.Detail) || len(p.Field) > 210 {
			t.Fatalf("refused as %#v", err)
		}
	})
}
