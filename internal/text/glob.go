package text

import "strings"

// MatchGlob reports whether a text matches a pattern, in which * matches any number of characters except the separator.
func MatchGlob(pattern, text string, separator byte) bool {
	star, from := -1, 0 // the last * in the pattern, and the index in the text at which the part after it is tried
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0 && text[from] != separator:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// NoSeparator is for globs whose * matches everything. It does not occur in valid UTF-8.
const NoSeparator = 0xff
