package auth

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// forged returns an unsigned token.
func forged(payload string) string {
	return encoded(`{"alg":"RS256","kid":"x"}`) + "." + encoded(payload) + "." + encoded(strings.Repeat("signature", 20))
}

// resigned returns a token with another payload under the same signature.
func resigned(token, payload string) string {
	parts := strings.Split(token, ".")
	return parts[0] + "." + encoded(payload) + "." + parts[2]
}

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestAccount(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "reporter")
	good := w.token(w.namespace, "reporter", audience)
	for name, tt := range map[string]struct {
		token   string
		refusal string // empty if accepted
		asked   bool   // whether the API server is asked
	}{
		"good":                 {good, "", true},
		"for others too":       {w.token(w.namespace, "reporter", "other", audience), "", true},
		"for another":          {w.token(w.namespace, "reporter", "other"), `not for the audience "watchbill"`, false},
		"for the API server":   {w.token(w.namespace, "reporter"), `not for the audience "watchbill"`, false},
		"another signature":    {good[:strings.LastIndex(good, ".")+1] + strings.Repeat("A", 342), "signature is wrong", false},
		"another payload":      {resigned(good, payload), "signature is wrong", false},
		"made up":              {forged(payload), "does not publish", false},
		"without a signature":  {strings.Join(strings.Split(good, ".")[:2], "."), "not one of a Kubernetes ServiceAccount", false},
		"of another cluster":   {theirs.sign(payload), "does not publish", false},
		"of a person":          {forged(`{"iss":"x","sub":"jane","aud":["watchbill"],"exp":1e300}`), "not one of a Kubernetes ServiceAccount", false},
		"without an issuer":    {forged(`{"sub":"system:serviceaccount:fleet:reporter","aud":["watchbill"],"exp":1e300}`), "not one of a Kubernetes ServiceAccount", false},
		"without an end":       {forged(`{"iss":"x","sub":"system:serviceaccount:fleet:reporter","aud":["watchbill"]}`), "not one of a Kubernetes ServiceAccount", false},
		"expired":              {forged(`{"iss":"x","sub":"system:serviceaccount:fleet:reporter","aud":["watchbill"],"exp":1000}`), "has expired", false},
		"not valid yet":        {forged(`{"iss":"x","sub":"system:serviceaccount:fleet:reporter","aud":["watchbill"],"exp":1e300,"nbf":1e300}`), "not valid yet", false},
		"signed by a secret":   {encoded(`{"alg":"HS256","kid":"x"}`) + "." + encoded(payload) + "." + encoded("signature"), "not one of a Kubernetes ServiceAccount", false},
		"algorithm none":       {encoded(`{"alg":"none"}`) + "." + encoded(payload) + "." + encoded("x"), "not one of a Kubernetes ServiceAccount", false},
		"without an audience":  {forged(`{"sub":"x"}`), "not for the audience", false},
		"a number as audience": {forged(`{"aud":1}`), "not one of a Kubernetes ServiceAccount", false},
		"not JSON":             {forged(`{`), "not one of a Kubernetes ServiceAccount", false},
		"not base64":           {"a.b!.c", "not one of a Kubernetes ServiceAccount", false},
		"two parts":            {"a.e30", "not one of a Kubernetes ServiceAccount", false},
		"empty":                {"", "not one of a Kubernetes ServiceAccount", false},
		"huge":                 {forged(`{"aud":"watchbill","x":"` + strings.Repeat("x", maxToken) + `"}`), "longer than 16384 bytes", false},
		"no UTF-8":             {"\xff.e30.\xff", "not one of a Kubernetes ServiceAccount", false},
	} {
		before := w.requests.tokenReviews()
		namespace, account, err := w.Account(t.Context(), remote, tt.token)
		if asked := w.requests.tokenReviews() - before; (asked == 1) != tt.asked || asked > 1 {
			t.Errorf("%s: the API server was asked %d times", name, asked)
		}
		if tt.refusal != "" {
			refuses(t, err, ErrTokenRefused, tt.refusal, tt.token)
			continue
		}
		if err != nil || namespace != w.namespace || account != "reporter" {
			t.Errorf("%s: want %s/reporter, got %s/%s, %v", name, w.namespace, namespace, account, err)
		}
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	elsewhere := w.newNamespace()
	w.account(w.namespace, "both", "create", "get")
	w.account(w.namespace, "creator", "create")
	w.account(w.namespace, "nobody")
	w.account(elsewhere, "guest", "get")
	w.account(w.namespace, "guest")
	if err := w.bind(w.namespace, "guest", elsewhere); err == nil { // the account of that name there has it already
		t.Fatal("want the binding to exist")
	}
	w.account(elsewhere, "visited", "get")
	w.account(w.namespace, "visitor")
	if _, err := w.client.RbacV1().RoleBindings(elsewhere).Patch(t.Context(), "visited", "application/json-patch+json",
		[]byte(`[{"op":"add","path":"/subjects/-","value":{"kind":"ServiceAccount","namespace":"`+w.namespace+`","name":"visitor"}}]`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		account, verb, namespace string
		allowed                  bool
	}{
		{"both", "create", w.namespace, true},
		{"both", "get", w.namespace, true},
		{"both", "delete", w.namespace, false},
		{"both", "create", elsewhere, false},
		{"both", "get", "", false},
		{"both", "get", "nowhere", false},
		{"creator", "create", w.namespace, true},
		{"creator", "get", w.namespace, false},
		{"nobody", "create", w.namespace, false},
		{"guest", "get", elsewhere, false},
		{"visitor", "get", elsewhere, true},
		{"visitor", "create", elsewhere, false},
		{"visitor", "get", w.namespace, false},
	} {
		token := w.token(w.namespace, tt.account, audience)
		err := w.Allow(t.Context(), remote, token, tt.verb, tt.namespace)
		if tt.allowed && err != nil {
			t.Errorf("%s, %s in %s: want it allowed, got %v", tt.account, tt.verb, tt.namespace, err)
		}
		if !tt.allowed {
			refuses(t, err, ErrNotAllowed, fmt.Sprintf("%s/%s may not %s monitoringreports/run", w.namespace, tt.account, tt.verb), token)
		}
	}
	refuses(t, w.Allow(t.Context(), remote, "nonsense", "get", w.namespace), ErrTokenRefused, "", "nonsense")
}

func TestDeletedAccountIsRefused(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "reporter", "create")
	token := w.lasting(24*3600, w.namespace, "reporter", audience)
	if err := w.Allow(t.Context(), remote, token, "create", w.namespace); err != nil {
		t.Fatal(err)
	}
	w.forget("reporter")
	if err := w.Allow(t.Context(), remote, token, "create", w.namespace); err != nil {
		t.Errorf("a moment later: want it remembered, got %v", err)
	}
	var err error
	await.Until(t, "the API server has forgotten the account, which takes it some seconds", func() bool {
		w.clock.advance(grantedFor)
		err = w.Allow(t.Context(), remote, token, "create", w.namespace)
		return err != nil
	})
	refuses(t, err, ErrTokenRefused, "does not accept", token)
}

// The service's own account may lack permissions.
func TestNotDelegated(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "watchbill")
	config := rest.AnonymousClientConfig(cluster.Config)
	config.BearerToken = w.token(w.namespace, "watchbill")
	token := w.token(w.namespace, "watchbill", audience)
	_, _, err := w.reviewer(config).Account(t.Context(), remote, token)
	refuses(t, err, fault.ErrUnavailable, "system:auth-delegator", token)
}

func TestReviewsAreCachedBriefly(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.account(w.namespace, "reporter", "create")
	token := w.token(w.namespace, "reporter", audience)
	made := w.clock.now()
	gone := "gone"
	w.account(w.namespace, gone)
	unknown := w.token(w.namespace, gone, audience)
	w.forget(gone)
	ask := func() { // three requests with known results
		t.Helper()
		if err := w.Allow(t.Context(), remote, token, "create", w.namespace); err != nil {
			t.Fatal(err)
		}
		refuses(t, w.Allow(t.Context(), remote, token, "get", w.namespace), ErrNotAllowed, "may not get", token)
		refuses(t, w.Allow(t.Context(), remote, unknown, "get", w.namespace), ErrTokenRefused, "", unknown)
	}
	for _, step := range []struct {
		at             time.Duration
		tokens, access int // reviews until then
	}{
		{0, 2, 2},
		{refusedFor - time.Millisecond, 2, 2},
		{refusedFor, 3, 3},
		{grantedFor - time.Millisecond, 4, 4}, // the rejected ones again
		{grantedFor, 5, 5},                    // the granted ones too; the rejected ones were reviewed just before
		{585 * time.Second, 7, 7},             // near the tokens' ends, which differ by the time it took to issue them
		{589 * time.Second, 7, 7},
		{640 * time.Second, 10, 9}, // after their ends, by the local clock: neither is cached
		{640 * time.Second, 13, 11},
	} {
		w.clock.set(made.Add(step.at))
		ask()
		if tokens, access := w.requests.tokenReviews(), w.requests.accessReviews(); tokens != step.tokens || access != step.access {
			t.Errorf("after %s: want %d and %d reviews, got %d and %d", step.at, step.tokens, step.access, tokens, access)
		}
	}
}
