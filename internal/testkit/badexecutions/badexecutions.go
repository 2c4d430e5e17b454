// Package badexecutions has executions that the API must reject.
package badexecutions

import (
	"encoding/json"
	"strings"
	"time"
)

// Case is an execution as in a request, and the code and field of its rejection.
type Case struct{ Raw, Code, Field string }

// All returns invalid executions, each with the expected fault.
func All(now time.Time) map[string]Case {
	one := func(members string) string {
		return `{"user_id":"u","agent_name":"a","status":"success"` + members + `}`
	}
	tests := map[string]Case{
		"no object":              {`7`, "invalid_type", ""},
		"null":                   {`null`, "invalid_type", ""},
		"an array":               {`["user_id","u"]`, "invalid_type", ""},
		"nothing in it":          {`{}`, "missing_field", "status"},
		"no user":                {`{"agent_name":"a","status":"success"}`, "missing_field", "user_id"},
		"no user, as null":       {`{"user_id":null,"agent_name":"a","status":"success"}`, "missing_field", "user_id"},
		"an empty user":          {`{"user_id":"","agent_name":"a","status":"success"}`, "missing_field", "user_id"},
		"no agent":               {`{"user_id":"u","status":"success"}`, "missing_field", "agent_name"},
		"no status":              {`{"user_id":"u","agent_name":"a"}`, "missing_field", "status"},
		"an id without its time": {one(`,"execution_id":"e"`), "missing_field", "created_at"},
		"an empty id":            {one(`,"execution_id":"","created_at":"2026-01-01T00:00:00Z"`), "invalid_field", "execution_id"},
		"an unknown field":       {one(`,"nonsense":1`), "unknown_field", "nonsense"},
		"an unknown null":        {one(`,"nonsense":null`), "unknown_field", "nonsense"},
		"another case":           {one(`,"Kind":"agent"`), "unknown_field", "Kind"},
		"escapes twice":          {`{"user\\u005fid":"u","agent_name":"a","status":"success"}`, "unknown_field", `user\u005fid`},
		"a field twice":          {one(`,"status":"failure"`), "duplicate_field", "status"},
		"twice, spelt else":      {one(`,"st\u0061tus":"failure"`), "duplicate_field", "status"},
		"a NUL":                  {one(`,"session_id":"a\u0000b"`), "nul_character", "session_id"},
		"a NUL in the id":        {one(`,"execution_id":"\u0000"`), "nul_character", "execution_id"},
		"invalid UTF-8":          {one(",\"model_used\":\"\xff\""), "invalid_utf8", "model_used"},
		"half a pair":            {one(`,"variant":"\ud800"`), "invalid_utf8", "variant"},
		"no time":                {one(`,"created_at":"yesterday"`), "invalid_field", "created_at"},
		"a time without a zone":  {one(`,"created_at":"2026-01-01T00:00:00"`), "invalid_field", "created_at"},
		"a 30th of February":     {one(`,"created_at":"2026-02-30T00:00:00Z"`), "invalid_field", "created_at"},
		"a time in seconds":      {one(`,"created_at":1767225600`), "invalid_type", "created_at"},
		"unknown status":         {`{"user_id":"u","agent_name":"a","status":"ok"}`, "invalid_field", "status"},
		"an empty status":        {`{"user_id":"u","agent_name":"a","status":""}`, "invalid_field", "status"},
		"status of another type": {`{"user_id":"u","agent_name":"a","status":true}`, "invalid_type", "status"},
		"unknown kind":           {one(`,"kind":"chain"`), "invalid_field", "kind"},
		"an empty kind":          {one(`,"kind":""`), "invalid_field", "kind"},
		"a negative duration":    {one(`,"execution_time_ms":-0.001`), "invalid_field", "execution_time_ms"},
		"an endless duration":    {one(`,"execution_time_ms":2592000001`), "invalid_field", "execution_time_ms"},
		"an infinite duration":   {one(`,"execution_time_ms":1e400`), "invalid_field", "execution_time_ms"},
		"a duration in words":    {one(`,"execution_time_ms":"5"`), "invalid_type", "execution_time_ms"},
		"more cached than read":  {one(`,"input_tokens":5,"cache_read_tokens":3,"cache_write_tokens":3`), "invalid_field", "input_tokens"},
		"more thought than said": {one(`,"output_tokens":5,"reasoning_tokens":6`), "invalid_field", "output_tokens"},
		"a short trace":          {one(`,"trace_id":"4bf92f"`), "invalid_field", "trace_id"},
		"a trace of zeros":       {one(`,"trace_id":"` + strings.Repeat("0", 32) + `"`), "invalid_field", "trace_id"},
		"a trace of words":       {one(`,"trace_id":"` + strings.Repeat("0z", 16) + `"`), "invalid_field", "trace_id"},
		"an empty trace":         {one(`,"trace_id":""`), "invalid_field", "trace_id"},
		"a span of zeros":        {one(`,"span_id":"0000000000000000"`), "invalid_field", "span_id"},
		"a span of no trace":     {one(`,"span_id":"00f067aa0ba902b7"`), "missing_field", "trace_id"},
		"a parent of no span":    {one(`,"parent_span_id":"00f067aa0ba902b7"`), "missing_field", "span_id"},
		"its own parent": {
			one(`,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","parent_span_id":"00F067AA0BA902B7"`), "invalid_field", "parent_span_id",
		},
	}
	for year, code := range map[string]string{"0001": "too_old", "0000": "too_old", "1969": "too_old", "1970": "too_old", "9999": "too_far_ahead"} {
		tests["year "+year] = Case{one(`,"created_at":"` + year + `-12-31T23:59:59Z"`), code, "created_at"}
	}
	for _, field := range []string{"tokens_used", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"} {
		for value, code := range map[string]string{
			"-1": "invalid_field", "2000000001": "invalid_field", "9223372036854775807": "invalid_field", "9223372036854775808": "number_out_of_range",
			"1.5": "invalid_type", "1e-1": "invalid_type", `"5"`: "invalid_type", "true": "invalid_type", "[]": "invalid_type",
		} {
			tests[field+"="+value] = Case{one(`,"` + field + `":` + value), code, field}
		}
	}
	for _, field := range []string{"execution_id", "user_id", "session_id", "request_id", "agent_name", "model_used", "provider", "variant"} {
		all := map[string]string{"user_id": "u", "agent_name": "a", "status": "success", "created_at": now.Add(-time.Minute).UTC().Format(time.RFC3339)}
		for name, value := range map[string]string{"too long": strings.Repeat("x", 257), "a line break": "a\nb", "a C1 control": "a\u0085b"} {
			all[field] = value
			raw, _ := json.Marshal(all)
			tests[field+": "+name] = Case{string(raw), "invalid_field", field}
		}
	}
	return tests
}
