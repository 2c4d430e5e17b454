package replica

import (
	"fmt"
	"slices"
	"strings"
)

// minToken is how many bytes a token should have: fewer can be guessed.
const minToken = 16

// weaknesses says what about the configuration helps an attacker. It quotes no token.
func (c Config) weaknesses() []string {
	var weak []string
	owner := map[string]string{}
	for _, role := range []struct{ variable, tokens string }{
		{"ADMIN_TOKEN", c.AdminToken}, {"ENROLLMENT_TOKEN", c.EnrollmentToken}, {"INGEST_TOKEN", c.IngestToken},
	} {
		for token := range strings.SplitSeq(role.tokens, ",") {
			token = strings.TrimSpace(token)
			if token == "" {
				continue
			}
			if len(token) < minToken {
				weak = append(weak, fmt.Sprintf("%s has a token of fewer than %d bytes", role.variable, minToken))
			}
			if other := owner[token]; other != "" && other != role.variable {
				weak = append(weak, fmt.Sprintf("%s and %s have a token in common", other, role.variable))
			}
			owner[token] = role.variable
		}
	}
	for _, network := range c.TrustedProxies {
		if strings.HasSuffix(strings.TrimSpace(network), "/0") {
			weak = append(weak, "--trusted-proxies has "+strings.TrimSpace(network)+": every client may choose its address")
		}
	}
	slices.Sort(weak)
	return slices.Compact(weak)
}
