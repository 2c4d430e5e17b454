package redact

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/text"
)

// Mark replaces masked text.
const Mark = "[redacted]"

const (
	maxRules = 100
	maxRule  = 1000 // bytes
	// maxNested is the limit of JSON strings within one another that are decoded. In deeper ones, names are found only
	// as spelled there.
	maxNested = 8
	// maxPasses limits the cost of a text whose masks create new matches. One more pass must not change anything.
	maxPasses = 4
)

// Rules determines what is masked before it is stored. The zero value masks nothing. Masking is idempotent.
//
// Each text is read a limited number of times, so masking takes time in proportion to its size.
type Rules struct {
	names map[string]bool // folded, see fold
	odd   []string        // those of names with more than the characters of bare words
	globs []string        // folded
	find  []finder
}

// finder returns what to mask in a text, as pairs of start and end.
type finder func(text string) [][]int

// ParseRules parses rules:
//
//	key:NAME       masks the value of a member NAME, ignoring case; * matches any characters
//	pattern:REGEX  masks matches in any string, number or name (RE2)
//	builtin:NAME   likewise for email, credit-card or secrets
//
// The error names every invalid rule.
func ParseRules(rules []string) (Rules, error) {
	r := Rules{names: map[string]bool{}}
	if len(rules) > maxRules {
		return Rules{}, fmt.Errorf("there must be at most %d rules", maxRules)
	}
	var faults []error
	for _, rule := range rules {
		if err := r.add(rule); err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", text.Clip(rule, 60), err))
		}
	}
	if len(faults) > 0 {
		return Rules{}, errors.Join(faults...)
	}
	return r, nil
}

func (r *Rules) add(rule string) error {
	kind, what, _ := strings.Cut(rule, ":")
	switch {
	case len(rule) > maxRule || !utf8.ValidString(rule):
		return fmt.Errorf("must be at most %d bytes of UTF-8", maxRule)
	case !slices.Contains([]string{"key", "pattern", "builtin"}, kind):
		return errors.New("must be key:NAME, pattern:REGEX or builtin:NAME")
	case what == "":
		return errors.New("has nothing after its colon")
	case kind == "key" && strings.Contains(what, "*"):
		r.globs = append(r.globs, fold(what))
	case kind == "key":
		name := fold(what)
		r.names[name] = true
		if runLength(name, isBareByte) < len(name) || !isASCII(name) { // not all scripts have blanks between words
			r.odd = append(r.odd, name)
		}
	case kind == "pattern":
		pattern, err := regexp.Compile(what)
		if err != nil {
			return err
		}
		r.find = append(r.find, func(text string) [][]int { return pattern.FindAllStringIndex(text, -1) })
	default:
		find := builtins[what]
		if find == nil {
			return errors.New("is not built in; email, credit-card and secrets are")
		}
		r.find = append(r.find, find)
	}
	return nil
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
}

// Empty reports whether r masks nothing.
func (r Rules) Empty() bool { return !r.named() && len(r.find) == 0 }

// named reports whether there are rules about names.
func (r *Rules) named() bool { return len(r.names)+len(r.globs) > 0 }

// Anywhere returns the rules that apply regardless of names.
func (r Rules) Anywhere() Rules { return Rules{find: r.find} }

// JSON masks a JSON value, which must be valid. The rest is unchanged.
func (r Rules) JSON(raw json.RawMessage) json.RawMessage {
	if r.Empty() || len(raw) == 0 {
		return raw
	}
	return r.members(raw)
}

// Text masks a text, including JSON and similar notations in it.
func (r Rules) Text(text string) string {
	if r.Empty() || text == "" {
		return text
	}
	for range maxPasses {
		next := r.once(text, 0)
		if next == text {
			return text
		}
		text = next
	}
	return Mark
}

// once masks a text nested in depth strings of JSON: first inside the strings that it contains, then values by name,
// then matches anywhere.
func (r *Rules) once(text string, depth int) string {
	text = r.inStrings(text, depth)
	text = r.inMembers(text)
	return mask(text, r.spans(text))
}

// masks reports whether members with a name are masked.
func (r *Rules) masks(name string) bool {
	if !r.named() {
		return false
	}
	var buffer [64]byte
	folded := foldInto(buffer[:0], name)
	return r.names[string(folded)] || slices.ContainsFunc(r.globs, func(glob string) bool { return text.MatchGlob(glob, string(folded), text.NoSeparator) })
}

// fold returns a name without differences in case.
func fold(name string) string { return string(foldInto(nil, name)) }

func foldInto(to []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= utf8.RuneSelf:
			return append(to[:0], strings.ToLower(strings.ToUpper(name))...) // equal only in upper case
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		to = append(to, c)
	}
	return to
}

// Shorten shortens a text so that masking the result changes nothing: a mask that is cut could be taken for text, and a
// prefix can match where the whole did not.
func (r Rules) Shorten(text string, cut func(string) string) string {
	text = cut(text)
	for range maxPasses {
		next := r.Text(text)
		if next == text {
			return text
		}
		text = cut(next)
	}
	return Mark
}
