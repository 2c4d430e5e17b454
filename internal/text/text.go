// Package text shortens texts, without splitting characters, and quotes them for messages.
package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const ellipsis = "…"

// Cut returns the start of s, at most limit bytes.
func Cut[T string | []byte](s T, limit int) T {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// Clip returns s, or its first limit bytes and an ellipsis.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + ellipsis
}

// OneLine returns s on one line, without characters that could control a terminal or hide text: white space becomes
// single spaces; control characters, including escape sequences, changes of writing direction and invalid UTF-8 become
// U+FFFD.
func OneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsGraphic(r):
			return utf8.RuneError
		}
		return r
	}, s)), " ")
}

// Fit returns s, or its start and an ellipsis that together are at most limit bytes.
func Fit(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return Cut(s, max(limit-len(ellipsis), 0)) + ellipsis
}

// FitRunes returns s, or its start and an ellipsis that together are at most limit characters.
func FitRunes(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit-1]) + ellipsis
}

// Quote returns s in quotes. If s is longer than limit bytes it returns the first limit bytes in quotes and an
// ellipsis.
func Quote(s string, limit int) string {
	if len(s) <= limit {
		return strconv.Quote(s)
	}
	return strconv.Quote(Cut(s, limit)) + ellipsis
}
