package text

import "strings"

// MatchGlob reports whether a text is what a pattern says, in which * stands for any characters but the separator, or none.
func MatchGlob(pattern, text string, separator byte) bool {
	star, from := -1, 0 // the last * in the pattern, and where in the text what follows it is tried
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

// NoSeparator is for globs whose * stands for everything. No valid UTF-8 holds it.
const NoSeparator = 0xff
