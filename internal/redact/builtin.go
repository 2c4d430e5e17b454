package redact

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// builtins are the patterns with names. They are written in Go, since a regular expression with many alternatives takes
// a hundred times as long on texts without a match.
var builtins = map[string]finder{
	"email":       findEmails,
	"credit-card": findCards,
	"secrets":     findSecrets,
}

// findEmails finds email addresses: a possible name, an @, and a domain that ends in two letters or more.
func findEmails(text string) [][]int {
	var found [][]int
	for at, done := 0, 0; ; at++ {
		next := strings.IndexByte(text[at:], '@')
		if next < 0 {
			return found
		}
		at += next
		from := at
		for from > done {
			char, size := utf8.DecodeLastRuneInString(text[done:from])
			if !isAddress(char) && !strings.ContainsRune("._%+", char) {
				break
			}
			from -= size
		}
		to := at + 1 + domain(text[at+1:])
		if from < at && to > at+1 {
			found = append(found, []int{from, to})
			at = to - 1
		}
		done = at + 1
	}
}

// domain returns the length of the domain at the beginning of a text.
func domain(text string) int {
	end := strings.IndexFunc(text, func(char rune) bool { return char != '.' && !isAddress(char) })
	if end < 0 {
		end = len(text)
	}
	name := text[:end]
	if i := strings.Index(name, ".."); i >= 0 {
		name = name[:i]
	}
	for {
		name = strings.TrimRight(name, ".-")
		dot := strings.LastIndexByte(name, '.')
		if dot < 1 {
			return 0
		}
		top := name[dot+1:]
		if utf8.RuneCountInString(top) >= 2 && !strings.ContainsFunc(top, func(char rune) bool { return !unicode.IsLetter(char) }) {
			return len(name)
		}
		name = name[:dot]
	}
}

// isAddress reports whether a character may be in a part of an address. Of letters beyond ASCII only those of scripts
// with blanks between words count; otherwise the sentence around an address would be part of it.
func isAddress(char rune) bool {
	if char < utf8.RuneSelf {
		return isAlphanumeric(byte(char)) || char == '-'
	}
	return unicode.In(char, unicode.Latin, unicode.Greek, unicode.Cyrillic)
}

// shape is the form of a kind of token.
type shape struct {
	prefix  string
	letters func(byte) bool // characters that follow
	minimum int             // minimum number of these
	within  string          // required among these
}

// shapes are those of common API keys and tokens, except for shapes that ordinary words have.
var shapes = []shape{
	{"sk-", isToken, 16, ""}, // OpenAI, Anthropic and others
	{"pk-", isToken, 16, ""},
	{"sk_live_", isAlphanumeric, 10, ""}, // Stripe
	{"sk_test_", isAlphanumeric, 10, ""},
	{"rk_live_", isAlphanumeric, 10, ""},
	{"rk_test_", isAlphanumeric, 10, ""},
	{"whsec_", isBase64, 16, ""},
	{"ghp_", isAlphanumeric, 16, ""}, // GitHub
	{"gho_", isAlphanumeric, 16, ""},
	{"ghu_", isAlphanumeric, 16, ""},
	{"ghs_", isAlphanumeric, 16, ""},
	{"ghr_", isAlphanumeric, 16, ""},
	{"github_pat_", isToken, 16, ""},
	{"glpat-", isToken, 16, ""},           // GitLab
	{"AKIA", isUpperAlphanumeric, 16, ""}, // AWS
	{"ASIA", isUpperAlphanumeric, 16, ""},
	{"xoxa-", isToken, 10, ""}, // Slack
	{"xoxb-", isToken, 10, ""},
	{"xoxe-", isToken, 10, ""},
	{"xoxp-", isToken, 10, ""},
	{"xoxr-", isToken, 10, ""},
	{"xoxs-", isToken, 10, ""},
	{"xapp-", isToken, 10, ""},
	{"AIza", isToken, 30, ""}, // Google
	{"ya29.", isToken, 16, ""},
	{"hf_", isAlphanumeric, 16, ""},  // Hugging Face
	{"npm_", isAlphanumeric, 16, ""}, // npm
	{"wba_", isToken, 4, ""},         // Watchbill
	{"eyJ", isJWT, 24, "."},          // JSON web tokens
}

func findSecrets(text string) [][]int {
	found := append(findKeys(text), findBearers(text)...)
	for _, shape := range shapes {
		for at := 0; ; {
			next := strings.Index(text[at:], shape.prefix)
			if next < 0 {
				break
			}
			begin := at + next
			at = begin + len(shape.prefix)
			if begin > 0 && isWordByte(text[begin-1]) {
				continue
			}
			length := runLength(text[at:], shape.letters)
			if length < shape.minimum {
				continue
			}
			at += length
			if strings.Contains(text[begin:at], shape.within) {
				found = append(found, []int{begin, at})
			}
		}
	}
	return found
}

// findBearers finds the word bearer and the token after it, if that is longer than a word.
func findBearers(text string) [][]int {
	const word, minimum = "bearer", 16
	var found [][]int
	for at := 0; ; {
		next := strings.IndexAny(text[at:], " \t")
		if next < 0 {
			return found
		}
		at += next
		begin := at - len(word)
		at += runLength(text[at:], func(c byte) bool { return c == ' ' || c == '\t' })
		if begin < 0 || !strings.EqualFold(text[begin:begin+len(word)], word) || begin > 0 && isWordByte(text[begin-1]) {
			continue
		}
		if length := runLength(text[at:], isBearer); length >= minimum {
			at += length
			found = append(found, []int{begin, at})
		}
	}
}

// findKeys finds private keys in PEM. A key without an end extends to the end of the text.
func findKeys(text string) [][]int {
	const begin, private, end = "-----BEGIN ", "PRIVATE KEY-----", "-----END "
	const limit = 32 // length in bytes of the kind of key
	var found [][]int
	for at := 0; ; {
		next := strings.Index(text[at:], begin)
		if next < 0 {
			return found
		}
		from := at + next
		at = from + len(begin)
		kind := text[at:min(len(text), at+limit+len(private))]
		if !strings.Contains(kind, private) {
			continue
		}
		to := len(text)
		if last := strings.Index(text[at:], end); last >= 0 {
			last += at + len(end)
			to = last
			if i := strings.Index(text[last:min(len(text), last+limit+len(private))], private); i >= 0 {
				to = last + i + len(private)
			}
		}
		found = append(found, []int{from, to})
		at = to
	}
}

// findCards finds payment card numbers: 13 to 19 digits, with single blanks or hyphens between some, that begin as card
// numbers do and pass Luhn's check.
func findCards(text string) [][]int {
	const minimum, limit = 13, 19
	var found [][]int
	for at := 0; at < len(text); {
		run := digitRun(text[at:])
		if run == 0 {
			at++
			continue
		}
		// In longer runs, such as several numbers in a row, the parts between separators are tried.
		for from, end := at, at+run; from < end; {
			if to := cardEnd(text[from:end], minimum, limit); to > 0 {
				found = append(found, []int{from, from + to})
				from += to
			}
			from += nextGroup(text[from:end])
		}
		at += run
	}
	return found
}

// digitRun returns the length of the digits, with single separators between them, at the beginning of a text.
func digitRun(text string) int {
	end := 0
	for i := range len(text) {
		switch {
		case isDigit(text[i]):
			end = i + 1
		case i == 0 || !isSeparator(text[i]) || !isDigit(text[i-1]):
			return end
		}
	}
	return end
}

// nextGroup returns the index of the digits after the next separator.
func nextGroup(run string) int {
	for i := range len(run) {
		if isSeparator(run[i]) {
			return i + 1
		}
	}
	return len(run)
}

// cardEnd returns the end of the longest card number at the beginning of a run, or 0.
func cardEnd(run string, minimum, limit int) int {
	if run == "" || run[0] < '2' || run[0] > '6' { // first digits of the networks
		return 0
	}
	digits, end := 0, 0
	once, twice := 0, 0 // Luhn's sums, if the last digit counts once, or twice
	for i := 0; i < len(run) && digits < limit; i++ {
		if !isDigit(run[i]) {
			continue
		}
		digit := int(run[i] - '0')
		doubled := 2 * digit
		if doubled > 9 {
			doubled -= 9
		}
		once, twice = twice+digit, once+doubled // with every digit, once and twice swap
		digits++
		groupEnds := i+1 == len(run) || isSeparator(run[i+1])
		if digits >= minimum && groupEnds && once%10 == 0 {
			end = i + 1
		}
	}
	return end
}
