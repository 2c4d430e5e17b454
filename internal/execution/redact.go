package execution

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// redacted stands in the place of what was masked.
const redacted = "[redacted]"

const (
	maxRules = 100
	maxRule  = 1000 // bytes
	// maxNested is how many strings may be within one another, each JSON text of its own, for the innermost's names still
	// to be masked.
	maxNested = 4
	// maxPasses bounds what a text costs whose masks make new ones match. One more pass would have to change nothing.
	maxPasses = 4
)

// Redaction says what is masked before it is stored. The zero value masks nothing. What was masked once does not
// change when it is masked again.
type Redaction struct {
	names map[string]bool // in lower case
	globs []string
	find  []finder
}

// finder finds what is to be masked in a text: pairs of where it begins and ends.
type finder func(text string) [][]int

// ParseRedaction reads rules:
//
//	key:NAME       the value of any member whose name is NAME, in any case; * in it stands for any characters
//	pattern:REGEX  what matches in any string (RE2)
//	builtin:NAME   email, credit-card or secrets, in any string
//
// The error names every rule that is wrong.
func ParseRedaction(rules []string) (Redaction, error) {
	r := Redaction{names: map[string]bool{}}
	if len(rules) > maxRules {
		return Redaction{}, fmt.Errorf("there must be at most %d rules", maxRules)
	}
	var faults []error
	for _, rule := range rules {
		if err := r.add(rule); err != nil {
			faults = append(faults, fmt.Errorf("%q: %w", excerpt(rule), err))
		}
	}
	if len(faults) > 0 {
		return Redaction{}, errors.Join(faults...)
	}
	return r, nil
}

func (r *Redaction) add(rule string) error {
	kind, what, _ := strings.Cut(rule, ":")
	switch {
	case len(rule) > maxRule || !utf8.ValidString(rule):
		return fmt.Errorf("must be at most %d bytes of UTF-8", maxRule)
	case !slices.Contains([]string{"key", "pattern", "builtin"}, kind):
		return errors.New("must be key:NAME, pattern:REGEX or builtin:NAME")
	case what == "":
		return errors.New("says nothing after its colon")
	case kind == "key" && strings.Contains(what, "*"):
		r.globs = append(r.globs, strings.ToLower(what))
	case kind == "key":
		r.names[strings.ToLower(what)] = true
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

// Empty says whether nothing is masked.
func (r Redaction) Empty() bool { return len(r.names)+len(r.globs)+len(r.find) == 0 }

// JSON masks a JSON value. All that is not masked stays as it was written. Of what is no JSON, the part before the fault
// is masked.
func (r Redaction) JSON(raw json.RawMessage) json.RawMessage {
	if r.Empty() || len(raw) == 0 {
		return raw
	}
	return r.walk(raw, 0)
}

// Text masks a text for people, which may be JSON.
func (r Redaction) Text(text string) string {
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
	return redacted
}

// once masks a text, one time: first as the JSON that it may be, at some depth of such, and then all of it.
func (r *Redaction) once(text string, depth int) string {
	if depth < maxNested && mayBeJSON(text) {
		text = string(r.walk([]byte(text), depth+1))
	}
	return mask(text, r.spans(text))
}

// spans finds what any rule masks in a text, in order. All look at the same text: the mask of one must not hide from
// another what is a whole only for it. What overlaps is one.
func (r *Redaction) spans(text string) [][]int {
	var all [][]int
	for _, find := range r.find {
		all = append(all, find(text)...)
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b []int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	merged := all[:1]
	for _, span := range all[1:] {
		if last := merged[len(merged)-1]; span[0] < last[1] {
			last[1] = max(last[1], span[1])
		} else {
			merged = append(merged, span)
		}
	}
	return merged
}

// mayBeJSON says whether a text could hold names: it is an object, an array, or one of these in a string.
func mayBeJSON[T string | []byte](text T) bool {
	for i := range len(text) {
		switch text[i] {
		case ' ', '\t', '\r', '\n':
		case '{', '[', '"':
			return true
		default:
			return false
		}
	}
	return false
}

// shorten makes a text shorter, in such a way that masking it changes nothing: a mask that is cut could be taken for a
// text, and a beginning can match where the whole did not.
func (r Redaction) shorten(text string, cut func(string) string) string {
	text = cut(text)
	for range maxPasses {
		next := r.Text(text)
		if next == text {
			return text
		}
		text = cut(next)
	}
	return redacted
}

// mask puts masks in the place of what was found. What holds nothing but masks is left alone, and no mask is ever cut.
func mask(text string, found [][]int) string {
	if len(found) == 0 {
		return text
	}
	var out strings.Builder
	done, masks := 0, masksIn(text)
	for _, span := range found {
		from, to := max(span[0], done), span[1]
		if from >= to {
			continue // it is empty, or part of a mask by now
		}
		for len(masks) > 0 && masks[0]+len(redacted) <= from {
			masks = masks[1:]
		}
		covered := from // by masks, up to here
		for _, begin := range masks {
			if begin >= to {
				break
			}
			end := begin + len(redacted)
			if begin <= covered {
				covered = end
			}
			from, to = min(from, begin), max(to, end)
		}
		if covered >= to {
			continue
		}
		out.WriteString(text[done:from])
		out.WriteString(redacted)
		done = to
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// masksIn finds where the masks that a text has begin.
func masksIn(text string) []int {
	var begins []int
	for from := 0; ; {
		i := strings.Index(text[from:], redacted)
		if i < 0 {
			return begins
		}
		begins = append(begins, from+i)
		from += i + len(redacted)
	}
}
