package auth

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/watchbill/watchbill/internal/text"
)

const (
	// maxToken is the maximum length of a token in bytes. ServiceAccounts' tokens have about 1,000.
	maxToken = 16 << 10
	// leeway is the maximum difference between this service's clock and the API server's.
	leeway = time.Minute
)

// claims are the claims of a token.
type claims struct {
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  audiences `json:"aud"`
	Expires   float64   `json:"exp"` // seconds since 1970
	NotBefore float64   `json:"nbf"`
}

type audiences []string

// UnmarshalJSON accepts one audience or several, as RFC 7519 does.
func (a *audiences) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(audiences, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// inspected is a well-formed token. None of its claims is verified yet.
type inspected struct {
	signed          *jose.JSONWebSignature
	namespace, name string // as claimed
	ends            time.Time
}

var errNoServiceAccount = refused("the token is not one of a Kubernetes ServiceAccount")

// inspect rejects tokens that no API server would accept, so that tokens for other services are not passed on.
func (r *Reviewer) inspect(token string) (inspected, error) {
	if len(token) > maxToken {
		return inspected{}, refused("the token is longer than %d bytes", maxToken)
	}
	signed, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil {
		return inspected{}, errNoServiceAccount
	}
	var c claims
	if json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &c) != nil {
		return inspected{}, errNoServiceAccount
	}
	if !slices.Contains(c.Audience, r.audience) {
		return inspected{}, refused("the token is not for the audience %q: ask for one that is, as a projected volume or `kubectl create token --audience` does", r.audience)
	}
	t := inspected{signed: signed, ends: numericDate(c.Expires)}
	var ok bool
	if t.namespace, t.name, ok = serviceAccount(c.Subject); !ok || c.Issuer == "" || c.Expires <= 0 {
		return inspected{}, errNoServiceAccount
	}
	now := r.now()
	switch {
	case !now.Before(t.ends.Add(leeway)):
		return inspected{}, refused("the token has expired")
	case c.NotBefore > 0 && now.Add(leeway).Before(numericDate(c.NotBefore)):
		return inspected{}, refused("the token is not valid yet")
	}
	return t, nil
}

// numericDate returns a NumericDate of RFC 7519 as a time, clipped to some thousand years from now.
func numericDate(seconds float64) time.Time {
	const farAway = 1 << 35
	return time.Unix(int64(min(seconds, farAway)), 0)
}

// verify returns nil if one of the cluster's keys signed the token. checked is false if the cluster's keys are unknown. A
// verified token may still be rejected, since its account or Pod may have been deleted.
func (r *Reviewer) verify(ctx context.Context, t inspected) (checked bool, err error) {
	id := t.signed.Signatures[0].Header.KeyID
	key, found, readable := r.keys.find(ctx, id)
	switch {
	case !readable:
		return false, nil
	case !found:
		return true, refused("the token is signed with a key that the cluster does not publish; a new key is known within %s", text.Duration(keysGap))
	}
	if _, err := t.signed.Verify(key); err != nil {
		return true, refused("the token's signature is wrong")
	}
	return true, nil
}

// serviceAccount splits a user's name, and reports whether it is a ServiceAccount's.
func serviceAccount(user string) (namespace, name string, ok bool) {
	account, ok := strings.CutPrefix(user, "system:serviceaccount:")
	namespace, name, two := strings.Cut(account, ":")
	return namespace, name, ok && two && len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0
}
