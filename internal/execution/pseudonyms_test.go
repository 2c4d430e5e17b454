package execution_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/redact"
)

const (
	oldKey = "0f0e0d0c0b0a09080706050403020100"
	newKey = "000102030405060708090a0b0c0d0e0f"
)

func pseudonyms(t testing.TB, keys string, rules ...string) *execution.Pseudonyms {
	t.Helper()
	p, err := execution.NewPseudonyms(keys, redaction(t, rules...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPseudonyms(t *testing.T) {
	t.Parallel()
	p := pseudonyms(t, "\n"+newKey+"\n"+oldKey+"\r\n", "builtin:email", "key:agent")
	e := execution.Execution{
		ID: "x-1", UserID: "ada@example.com", SessionID: "ada@example.com", RequestID: "ada@example.com", TraceID: strings.Repeat("a", 32),
		AgentName: "helper of ada@example.com", Variant: "agent=b", Model: "gpt-4o",
	}
	s := execution.Span{User: e.UserID, Session: e.SessionID, Agent: e.AgentName}
	p.Replace(&e)
	p.ReplaceIn(&s)
	if e.UserID != p.User("ada@example.com") || e.AgentName != "helper of [redacted]" || e.Variant != "agent=b" || e.Model != "gpt-4o" || e.ID != "x-1" {
		t.Errorf("got %+v", e)
	}
	if s.User != e.UserID || s.Session != e.SessionID || s.Agent != e.AgentName {
		t.Errorf("the span: got %+v", s)
	}
	if e.UserID == e.SessionID || e.UserID == e.RequestID || e.SessionID == e.RequestID || len(e.UserID) != 34 {
		t.Errorf("want ids that tell nothing of one another, got %s, %s, %s", e.UserID, e.SessionID, e.RequestID)
	}
	again := e
	p.Replace(&again)
	if diff := cmp.Diff(e, again); diff != "" {
		t.Errorf("replaced again (-once +twice):\n%s", diff)
	}

	before := pseudonyms(t, oldKey)
	if diff := cmp.Diff([]string{e.UserID, before.User("ada@example.com"), "ada@example.com"}, p.Users("ada@example.com")); diff != "" {
		t.Errorf("all that ada may be stored as (-want +got):\n%s", diff)
	}
	if got := p.User(before.User("ada@example.com")); got != before.User("ada@example.com") {
		t.Errorf("a pseudonym of the old key became %s", got)
	}
	if diff := cmp.Diff([]string{e.UserID}, p.Users(e.UserID)); diff != "" {
		t.Errorf("a pseudonym (-want +got):\n%s", diff)
	}
	if other := pseudonyms(t, strings.Repeat("k", 32)).User(e.UserID); other == e.UserID {
		t.Error("a pseudonym of another key was kept")
	}
	for _, same := range []string{"", execution.Unknown} {
		if got := p.User(same); got != same {
			t.Errorf("%q became %q", same, got)
		}
	}
	for _, forged := range []string{"p_", e.UserID[:33] + "0", strings.ToUpper(e.UserID), "p_" + strings.Repeat("v", 32), "p_" + strings.Repeat("z", 32)} {
		if forged != e.UserID && p.User(forged) == forged {
			t.Errorf("%q was taken for a pseudonym", forged)
		}
	}

	minted := execution.Execution{ID: "x-2", RequestID: "x-2", UserID: "u", AgentName: strings.Repeat("a@b.cc ", 18)}
	p.Replace(&minted)
	if minted.RequestID != "x-2" || len(minted.AgentName) > execution.MaxName {
		t.Errorf("got %+v", minted)
	}

	none := (*execution.Pseudonyms)(nil)
	kept := execution.Execution{UserID: "ada"}
	none.Replace(&kept)
	none.ReplaceIn(&execution.Span{User: "ada"})
	if kept.UserID != "ada" || none.User("ada") != "ada" || len(none.Users("ada")) != 1 {
		t.Errorf("without keys: got %+v", kept)
	}
}

func TestPseudonymKeys(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		"":                             "has no key; make one with: openssl rand -hex 32",
		"\n\n":                         "has no key; make one with: openssl rand -hex 32",
		newKey + "\nshort":             "line 2: a key must have at least 32 characters; make one with: openssl rand -hex 32",
		newKey + "\n\n" + newKey:       "line 3: the key is duplicated",
		strings.Repeat(newKey+"\n", 2): "line 2: the key is duplicated",
	} {
		if _, err := execution.NewPseudonyms(keys, redact.Rules{}); err == nil || err.Error() != want {
			t.Errorf("%q: want %s, got %v", keys, want, err)
		}
	}
	var many strings.Builder
	for i := range 9 {
		many.WriteString(strings.Repeat(string(rune('a'+i)), 32) + "\n")
	}
	if _, err := execution.NewPseudonyms(many.String(), redact.Rules{}); err == nil {
		t.Error("want at most 8 keys")
	}
}
