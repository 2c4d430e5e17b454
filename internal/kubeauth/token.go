package kubeauth

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// maxToken is how long a token may be, in bytes. Those of ServiceAccounts have about 1,000.
const maxToken = 16 << 10

// claims are what a token says of itself. Only the API server knows whether it is true.
type claims struct {
	Audience audiences `json:"aud"`
	Expires  float64   `json:"exp"` // seconds since 1970
}

type audiences []string

// UnmarshalJSON takes one audience or several, as RFC 7519 has it.
func (a *audiences) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(audiences, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// inspect refuses what no API server could accept, so that a token which is meant for someone else is not passed on, and
// tells when the token ends; of one that does not say, far away.
func (r *Reviewer) inspect(token string) (ends time.Time, err error) {
	if len(token) > maxToken {
		return ends, refused("the token is longer than %d bytes", maxToken)
	}
	_, rest, _ := strings.Cut(token, ".")
	payload, _, signed := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	var c claims
	if !signed || err != nil || json.Unmarshal(raw, &c) != nil {
		return ends, refused("the token is not one of a Kubernetes ServiceAccount")
	}
	if !slices.Contains(c.Audience, r.audience) {
		return ends, refused("the token is not for the audience %q: ask for one that is, as a projected volume or `kubectl create token --audience` does", r.audience)
	}
	const farAway = 1 << 35 // seconds; some thousand years
	if c.Expires <= 0 || c.Expires > farAway {
		c.Expires = farAway
	}
	return time.Unix(int64(c.Expires), 0), nil
}

// serviceAccount takes a user's name apart, if it is a ServiceAccount's.
func serviceAccount(user string) (namespace, name string, ok bool) {
	account, ok := strings.CutPrefix(user, "system:serviceaccount:")
	namespace, name, two := strings.Cut(account, ":")
	return namespace, name, ok && two && len(validation.IsDNS1123Label(namespace)) == 0 && len(validation.IsDNS1123Subdomain(name)) == 0
}
