package server

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/ingest"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// eachBody runs a test for each route that reads a JSON body.
func eachBody(t *testing.T, test func(t *testing.T, w *fixture, good request, schema *openapi3.Schema)) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		body := contract().Paths.Value(r.Pattern).GetOperation(r.Method).RequestBody
		if body == nil || body.Value.Content["application/json"] == nil || r.Access == endpoint.Exporter {
			return // it reads no JSON, or OpenTelemetry's
		}
		test(t, w, w.sample(t, r), body.Value.Content["application/json"].Schema.Value)
	})
}

func TestMalformedBodies(t *testing.T) {
	eachBody(t, func(t *testing.T, w *fixture, good request, _ *openapi3.Schema) {
		cut := good.body[:len(good.body)-1] // without the closing brace
		comma := ","
		if cut == "{" {
			comma = ""
		}
		tests := map[string]struct{ body, field string }{
			"blanks":                 {"  \n", ""},
			"truncated":              {cut, ""},
			"truncated in a string":  {cut + comma + `"nam`, ""},
			"not JSON":               {"name=n", ""},
			"a comma too many":       {cut + ",}", ""},
			"single quotes":          {`{'name':1}`, ""},
			"a byte order mark":      {"\ufeff" + good.body, ""},
			"null":                   {"null", ""},
			"an array":               {"[]", ""},
			"a string":               {`"x"`, ""},
			"a number":               {"1", ""},
			"trailing data":          {good.body + "{}", ""},
			"trailing words":         {good.body + " x", ""},
			"an unknown field":       {cut + comma + `"nonsense":1}`, "nonsense"},
			"another case":           {cut + comma + `"NAME":"x"}`, "NAME"},
			"a duplicate":            {cut + comma + `"zz":1,"zz":1}`, "zz"},
			"an unknown null":        {cut + comma + `"nonsense":null}`, "nonsense"},
			"a NUL":                  {cut + comma + `"nonsense":"a\u0000b"}`, "nonsense"},
			"a NUL in a name":        {cut + comma + `"n\u0000":1}`, "n\x00"},
			"a raw NUL":              {cut + comma + "\"nonsense\":\"\x00\"}", "nonsense"},
			"invalid UTF-8":          {cut + comma + "\"nonsense\":\"\xff\"}", "nonsense"},
			"a lone surrogate":       {cut + comma + `"nonsense":"\ud800"}`, "nonsense"},
			"nested too deep":        {cut + comma + `"nonsense":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "}", "nonsense" + strings.Repeat("[0]", 63)},
			"nested absurdly deep":   {cut + comma + `"nonsense":` + strings.Repeat("[", 50_000), "nonsense" + strings.Repeat("[0]", 63)},
			"a number out of range":  {cut + comma + `"nonsense":1e999999}`, "nonsense"},
			"a small number":         {cut + comma + `"nonsense":1e-999999}`, "nonsense"},
			"a long number":          {cut + comma + `"nonsense":` + strings.Repeat("9", 2000) + "}", "nonsense"},
			"a long name":            {cut + comma + `"` + strings.Repeat("x", 5000) + `":1}`, problem.Clip(strings.Repeat("x", 5000))},
			"a member without value": {cut + comma + `"nonsense"}`, "nonsense"},
		}
		if good.path == "/api/executions" { // does not check nesting so early; see executions_test.go
			delete(tests, "nested too deep")
			delete(tests, "nested absurdly deep")
		}
		if good.path == "/api/session" { // rejects a body of that size unread
			delete(tests, "nested absurdly deep")
		}
		for name, tt := range tests {
			t.Run(name, func(t *testing.T) {
				bad := good
				bad.body = tt.body
				w.refused(t, bad, http.StatusBadRequest, tt.field)
			})
		}
	})
}

func TestUnsupportedMediaTypes(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		if contract().Paths.Value(r.Pattern).GetOperation(r.Method).RequestBody == nil {
			return // it reads no body
		}
		if r.Access == endpoint.Exporter {
			return // its bodies are defined by OpenTelemetry's protocol
		}
		limit := input.MaxBody
		if r.Pattern == "/api/executions" {
			limit = ingest.MaxBody
		}
		good := w.sample(t, r)
		for _, contentType := range []string{
			"-", "text/html", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1",
			"text/plain; charset=utf-16", "application/json; profile=x", "application/xml", "nonsense", "application/json,text/plain", ";",
		} {
			bad := good
			bad.contentType = contentType
			w.refused(t, bad, http.StatusUnsupportedMediaType, "Content-Type")
		}
		bad := good
		bad.header = map[string]string{"Content-Encoding": "gzip"}
		w.refused(t, bad, http.StatusUnsupportedMediaType, "Content-Encoding")

		bad = good
		bad.body = strings.Repeat(" ", limit) + good.body
		w.refused(t, bad, http.StatusRequestEntityTooLarge, "")
		req := bad.http()
		req.ContentLength = -1 // chunked, of unknown length
		if got := serve(w, req); got.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("chunked: got %d", got.Code)
		}
	})
}

func TestUnexpectedBodies(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		if r.Method != http.MethodPost || r.Access == endpoint.Exporter || contract().Paths.Value(r.Pattern).Post.RequestBody != nil {
			return // it reads a body, or is not a POST
		}
		for _, body := range []string{"x", `{"force":true}`, "[]", "null", "{", strings.Repeat(" ", input.MaxBody), "\x00"} {
			bad := w.sample(t, r)
			bad.body = body
			w.refused(t, bad, http.StatusBadRequest, "")
		}
	})
}

func TestWrongTypes(t *testing.T) {
	eachBody(t, func(t *testing.T, w *fixture, good request, schema *openapi3.Schema) {
		for _, bad := range badFields(schema) {
			request := good
			if bad.member == "selector" {
				request.body = replaceMember(t, request.body, "agent_ids", "") // only one of the two is allowed
			}
			request.body = replaceMember(t, request.body, bad.member, bad.value)
			t.Run(bad.field+"="+problem.Clip(bad.value), func(t *testing.T) { w.refused(t, request, http.StatusBadRequest, bad.field) })
		}
		for _, name := range schema.Required {
			request := good
			request.body = replaceMember(t, good.body, name, "")
			t.Run("without "+name, func(t *testing.T) { w.refused(t, request, http.StatusBadRequest, name) })
		}
	})
}

// badField is an invalid value of a top-level member of a body, and the field that the problem should name.
type badField struct{ member, value, field string }

// badFields returns invalid values for the members of a schema.
func badFields(schema *openapi3.Schema) []badField {
	var all []badField
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name].Value
		add := func(field string, values ...string) {
			for _, value := range values {
				all = append(all, badField{name, value, field})
			}
		}
		wrong := map[string]string{"string": `"x"`, "integer": "7", "number": "7.5", "boolean": "true", "object": "{}", "array": "[]"}
		for kind, value := range wrong {
			numeric := property.Type.Is("number") && kind == "integer"
			if !property.Type.Is(kind) && !numeric {
				add(name, value)
			}
		}
		add(name, "null", "1e999999")
		switch {
		case property.Type.Is("string"):
			add(name, `"a\u0000b"`, "\"\xff\"", `"\ud800"`, "\"a\nb\"")
			if property.MaxLength != nil {
				add(name, `"`+strings.Repeat("x", int(*property.MaxLength)+1)+`"`)
			}
			if property.MinLength > 0 && slices.Contains(schema.Required, name) {
				add(name, `""`)
			}
			if len(property.Enum) > 0 {
				add(name, `"nonsense"`)
			}
		case property.Type.Is("integer"), property.Type.Is("number"):
			add(name, `"5"`, "-1", "1e400", "99999999999999999999999999", "-99999999999999999999999999")
			if property.Min != nil {
				add(name, encodeNumber(*property.Min-1))
			}
			if property.Max != nil {
				add(name, encodeNumber(*property.Max+1))
			}
			if property.Type.Is("integer") {
				add(name, "1.5", "1e0", "2147483648")
			}
		case property.Type.Is("array"):
			add(name+"[0]", "[null]", `["a\u0000b"]`, "[\"\xff\"]", "[[]]", "[1]")
		}
	}
	return all
}

func encodeNumber(f float64) string {
	b, _ := json.Marshal(f)
	return string(b)
}

// replaceMember replaces the value of a body's member, or removes the member if value is empty. The value need not be
// valid JSON.
func replaceMember(t *testing.T, body, member, value string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatal(err)
	}
	delete(members, member)
	rest := strings.TrimSuffix(encode(t, members), "}")
	if value == "" {
		return rest + "}"
	}
	if rest != "{" {
		rest += ","
	}
	return rest + `"` + member + `":` + value + "}"
}
