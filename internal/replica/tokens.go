package replica

import (
	"errors"
	"fmt"
	"strings"
)

// Minimum length of a token in bytes, and minimum number of distinct bytes.
const (
	minToken    = 16
	minDistinct = 5
)

// placeholders occur in documentation and examples in place of tokens.
var placeholders = []string{"changeme", "change-me", "change_me", "replaceme", "replace-me", "replace_me", "your-token", "your_token", "placeholder", "example", "password"}

// checkTokens returns an error for each token that may be guessed or grants several rights. It names a token by its variable
// and position, never by its value.
func (c Config) checkTokens() error {
	faults := c.tokenFaults()
	if c.InsecureTokens || len(faults) == 0 {
		return nil
	}
	return errors.Join(append(faults, errors.New("make tokens with: openssl rand -hex 32 (--insecure-tokens accepts any, for tests)"))...)
}

func (c Config) tokenFaults() (faults []error) {
	first := map[string]string{} // where a token first occurred
	for _, right := range []struct{ variable, values string }{
		{"ADMIN_TOKEN", c.AdminToken}, {"ENROLLMENT_TOKEN", c.EnrollmentToken}, {"INGEST_TOKEN", c.IngestToken},
	} {
		values := tokensOf(right.values)
		for i, token := range values {
			where := right.variable
			if len(values) > 1 {
				where = fmt.Sprintf("%s, value %d", right.variable, i+1)
			}
			if weakness := weaknessOf(token); weakness != "" {
				faults = append(faults, fmt.Errorf("%s: %s", where, weakness))
			}
			if other, twice := first[token]; twice {
				faults = append(faults, fmt.Errorf("%s: is the same as %s; each token must be unique and give one right", where, other))
				continue
			}
			first[token] = where
		}
	}
	return faults
}

func tokensOf(list string) (all []string) {
	for token := range strings.SplitSeq(list, ",") {
		if token = strings.TrimSpace(token); token != "" {
			all = append(all, token)
		}
	}
	return all
}

// weaknessOf returns why a token may be guessed, or "".
func weaknessOf(token string) string {
	lower := strings.ToLower(token)
	for _, word := range placeholders {
		if strings.Contains(lower, word) {
			return "is a placeholder"
		}
	}
	if len(token) < minToken {
		return fmt.Sprintf("must have at least %d bytes", minToken)
	}
	distinct := map[byte]bool{}
	for i := range len(token) {
		distinct[token[i]] = true
	}
	if len(distinct) < minDistinct {
		return "repeats too few characters"
	}
	return ""
}
