package enrollment_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/enrollment"
)

func sum(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := enrollment.Parse([]byte(`
tokens:
- sha256: ` + sum("lab") + `
  labels: {env: lab, site: 7, spare: true}
  allowedLabels: [rack, example.com/slot]
  maxAgents: 500
  minPollInterval: 10s
  expires: 2027-01-31T00:00:00Z
- sha256: ` + sum("plain") + `
- {sha256: ` + sum("closed") + `, allowedLabels: []}
`))
	want := []fleet.Grant{
		{
			Token: fleet.HashToken("lab"), Labels: map[string]string{"env": "lab", "site": "7", "spare": "true"},
			AllowedLabels: []string{"rack", "example.com/slot"}, MaxAgents: 500, MinPollInterval: 10 * time.Second,
			Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		},
		{Token: fleet.HashToken("plain")},
		{Token: fleet.HashToken("closed"), AllowedLabels: []string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := enrollment.Parse([]byte(`tokens:
- {labels: {env: lab}}
- sha256: the-token-itself
- sha256: ` + sum("a") + `
  token: x
- sha256: ` + sum("a") + `
  labels: {"-": a, b: "-", c: [d], e: }
- sha256: ` + sum("b") + `
  labels: {env: lab}
  allowedLabels: [env, "a b", x]
  maxAgents: 0
  minPollInterval: 1500ms
  expires: tomorrow
- 7
`))
	if err == nil {
		t.Fatal("no fault was found")
	}
	for _, want := range []string{
		"line 2: tokens[0].sha256: is missing",
		"line 3: tokens[1].sha256: must be the SHA-256 of the token",
		"line 5: tokens[2].token: is not a field here",
		"line 6: tokens[3].sha256: is another token's, in line 4",
		"line 7: tokens[3].labels.-: ", "line 7: tokens[3].labels.b: ", "line 7: tokens[3].labels.c: must be text", "line 7: tokens[3].labels.e: must be text",
		"line 10: tokens[4].allowedLabels[0]: is fixed by labels", "line 10: tokens[4].allowedLabels[1]: ",
		"line 11: tokens[4].maxAgents: must be a number from 1", "line 12: tokens[4].minPollInterval: must be whole seconds",
		"line 13: tokens[4].expires: must be a time", "line 14: tokens[5]: must be a mapping",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want a fault %q in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "the-token-itself") {
		t.Error("the error tells a token")
	}
	for file, want := range map[string]string{"": "is empty", "{}": "tokens: is missing", "tokens: 7": "must be a list", "x: 1": "is not a field here"} {
		if _, err := enrollment.Parse([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want %q, got %v", file, want, err)
		}
	}
}

func TestGrantsFollowTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "enrollment.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tokens: [{sha256: " + sum("old") + ", maxAgents: 3}, {sha256: " + sum("new") + "}]")
	g, err := enrollment.Open(enrollment.Options{Tokens: "plain, old,,", MaxAgents: 100, File: file})
	if err != nil {
		t.Fatal(err)
	}
	limits := func(want map[string]int) {
		t.Helper()
		for token, limit := range want {
			found := g.Find(fleet.HashToken(token))
			if found == nil && limit != 0 || found != nil && found.MaxAgents != limit {
				t.Errorf("%s: want the limit %d, got %+v", token, limit, found)
			}
		}
	}
	limits(map[string]int{"plain": 100, "old": 3, "new": 100, "unknown": 0, "": 0})
	write("tokens: [")
	if err := g.Refresh(t.Context()); err == nil {
		t.Error("want a fault")
	}
	limits(map[string]int{"plain": 100, "old": 3, "new": 100})
	write("tokens: []")
	if err := g.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	limits(map[string]int{"plain": 100, "old": 100, "new": 0})
	if _, err := enrollment.Open(enrollment.Options{File: file + ".none"}); err == nil {
		t.Error("want a fault for a file that is not there")
	}
	if g, err := enrollment.Open(enrollment.Options{Tokens: " ,"}); err != nil || g.Any() {
		t.Errorf("no token: got %v, %v", g.Any(), err)
	}
}
