package postgres_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// TestSanitizedPayloadsAreStored checks that PostgreSQL's jsonb accepts whatever Sanitize and the masks return.
func TestSanitizedPayloadsAreStored(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), postgrestest.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rules, err := redact.ParseRules([]string{"key:password", "key:*token*", "builtin:email", "builtin:credit-card", "builtin:secrets"})
	if err != nil {
		t.Fatal(err)
	}
	parts := rapid.SampledFrom([]string{
		`{`, `}`, `[`, `]`, `,`, `:`, `"`, `\"`, `\\`, `\u0000`, `\ud83d`, `\ude00`, `\uFFFF`, `\x`, "\x00", "\x1f", "\xff", "\xed\xa0\xbd", " ", "\n", "é", "😀",
		`"password":`, `"a":`, `password=`, "password: ", `'password': '`, `{"a":"{\"password\":\"x\"}"}`, `"a@b.cc"`, `"a@b.cc":1`, `4111111111111111`,
		`1`, `-`, `1.5e3`, `1e308`, `1e400`, `-0`, `1e-400`, strings.Repeat("9", 400), `true`, `null`, strings.Repeat("[", 40), strings.Repeat(`{"a":`, 40),
	})
	stored := func(r *rapid.T, what string, raw json.RawMessage) {
		var text string
		if err := conn.QueryRow(t.Context(), "SELECT $1::text::jsonb::text", string(raw)).Scan(&text); err != nil {
			r.Fatalf("%s %q: %v", what, raw, err)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		raw := []byte(strings.Join(rapid.SliceOfN(parts, 1, 30).Draw(r, "parts"), ""))
		clean := execution.Sanitize(raw)
		stored(r, "sanitized", clean)
		if again := execution.Sanitize(clean); !bytes.Equal(again, clean) {
			r.Fatalf("%q sanitized again became %q", clean, again)
		}
		e := execution.Execution{Input: raw}
		if fault := (execution.PayloadPolicy{Max: 512, Redact: rules}).Apply(&e); fault != nil {
			r.Fatal(fault)
		}
		stored(r, "masked", e.Input)
	})
}
