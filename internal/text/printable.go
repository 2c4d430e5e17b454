package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Unprintable returns why a text cannot be shown to people, in at most limit characters, or "" if it can.
func Unprintable(s string, limit int) string {
	switch {
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case utf8.RuneCountInString(s) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has a character that cannot be printed"
	}
	return ""
}
