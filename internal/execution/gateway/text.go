package gateway

import (
	"strings"
	"unicode"

	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxExcerpt = 300 // bytes of an upstream's text quoted in an error
	minSecret  = 4   // bytes
)

// clean replaces invalid UTF-8 and NUL by U+FFFD.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// asName returns the text without control characters and cut to a length.
func asName(s string, limit int) string {
	return text.Cut(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), limit)
}

// excerpt returns an upstream's text on one line, cut and without the secrets that were sent to it.
func excerpt(s string, secrets []string) string {
	return text.Clip(text.OneLine(redact.Text(withoutSecrets(s, secrets))), maxExcerpt)
}

// withoutSecrets removes secrets from a text, and the beginning of a secret at its end, where the text may have been cut.
func withoutSecrets(s string, secrets []string) string {
	const instead = "[redacted]"
	for _, secret := range secrets {
		if len(secret) < minSecret { // too short to be a secret; it would occur in any text
			continue
		}
		s = strings.ReplaceAll(s, secret, instead)
		for n := min(len(secret)-1, len(s)); n >= minSecret; n-- {
			if text, begun := strings.CutSuffix(s, secret[:n]); begun {
				s = text + instead
				break
			}
		}
	}
	return s
}
