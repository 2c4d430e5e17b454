package otlp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/execution"
)

// clean returns text that PostgreSQL can store: valid UTF-8 without NUL characters.
func clean(text string) string { return execution.SanitizeText(text) }

// toName converts a text to a name: one line of at most most bytes. A longer text is cut and ends in a part of its
// hash, so that different texts stay different and the result is stable.
func toName(text string, most int) string {
	if text != "" && len(text) <= most && text[0] != ' ' && execution.IsPlain(text) {
		return text
	}
	if strings.TrimSpace(text) == "" {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, clean(text))
	if len(name) <= most {
		return name
	}
	hash := sha256.Sum256([]byte(text))
	suffix := "~" + hex.EncodeToString(hash[:8])
	return cut(name, most-len(suffix)) + suffix
}

// cut returns at most the first most bytes of a longer text, without splitting a character.
func cut(text string, most int) string {
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
