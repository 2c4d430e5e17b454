package otlp

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/text"
)

// clean returns text that PostgreSQL can store: valid UTF-8 without NUL characters.
func clean(text string) string { return execution.SanitizeText(text) }

// toName converts a text to a name: one line of at most most bytes. A longer text is cut and ends in a part of its
// hash, so that different texts stay different and the result is stable.
func toName(sent string, limit int) string {
	if sent != "" && len(sent) <= limit && sent[0] != ' ' && execution.IsPlain(sent) {
		return sent
	}
	if strings.TrimSpace(sent) == "" {
		return ""
	}
	name := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, clean(sent))
	if len(name) <= limit {
		return name
	}
	hash := sha256.Sum256([]byte(sent))
	suffix := "~" + hex.EncodeToString(hash[:8])
	return text.Cut(name, limit-len(suffix)) + suffix
}
