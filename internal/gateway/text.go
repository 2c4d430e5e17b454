package gateway

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/telemetry"
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
func asName(s string, most int) string {
	return cut(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), most)
}

// cut shortens a text to at most n bytes without breaking a rune.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// oneLine returns an untrusted text on one line, for an error.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(clean(s), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if len(s) > maxExcerpt {
		return cut(s, maxExcerpt) + "…"
	}
	return s
}

// excerpt returns an upstream's text on one line, cut and without the secrets that were sent to it.
func excerpt(s string, secrets []string) string {
	return oneLine(telemetry.RedactText(withoutSecrets(s, secrets)))
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
