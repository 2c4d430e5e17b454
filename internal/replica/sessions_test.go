package replica_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// sendAs sends a request with a session's cookie and CSRF token.
func (n *node) sendAs(method, path, cookie, csrf, body string) (status int, header http.Header, answer []byte) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, n.url+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Cookie", cookie)
	req.Header.Set("X-CSRF-Token", csrf)
	resp, err := n.client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, answer
}

func TestSigningOutReachesOtherReplicas(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	a, b := start(t, database), start(t, database)
	status, header, answer := a.sendAs("POST", "/api/session", "", "", `{"token":"`+adminToken+`"}`)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	var s openapi.Session
	if err := json.Unmarshal(answer, &s); err != nil {
		t.Fatal(err)
	}
	cookie, _, _ := strings.Cut(header.Get("Set-Cookie"), ";")
	read := func() int {
		status, _, _ := b.sendAs("GET", "/api/agents", cookie, "", "")
		return status
	}
	if got := read(); got != http.StatusOK {
		t.Fatalf("the other replica returns %d", got)
	}
	if status, _, answer := b.sendAs("DELETE", "/api/agents/x", cookie, s.CsrfToken, ""); status != http.StatusNotFound {
		t.Errorf("a write on the other replica: %d %s", status, answer)
	}
	if status, _, answer := a.sendAs("DELETE", "/api/session", cookie, s.CsrfToken, ""); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, answer)
	}
	await.Until(t, "the session over on the other replica", func() bool { return read() == http.StatusForbidden })
}
