package gateway

import (
	"strings"
	"unicode"

	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxExcerpt = 300 // bytes of what an upstream says that come into an error
	minSecret  = 4   // bytes
)

// clean makes text that everyone can store: bytes that are no UTF-8, and NUL, become U+FFFD.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// asName makes text that may be a name: without control characters, and not too long.
func asName(s string, most int) string {
	return text.Cut(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")), most)
}

// oneLine is a text of anyone's making as it may stand in an error.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(clean(s), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	return text.Clip(s, maxExcerpt)
}

// excerpt is oneLine of what an upstream says, without the secrets that it was told and may repeat.
func excerpt(s string, secrets []string) string {
	return oneLine(redact.Text(withoutSecrets(s, secrets)))
}

// withoutSecrets takes them out of a text, and the beginning of one where the text was cut in the midst of it.
func withoutSecrets(s string, secrets []string) string {
	const instead = "[redacted]"
	for _, secret := range secrets {
		if len(secret) < minSecret { // is none, and would take holes out of any text
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
