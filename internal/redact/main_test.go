package redact_test

import (
	"testing"

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
