package execution

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// What a file of prices may be at most.
const (
	MaxPriceFile = 1 << 20 // bytes

	maxPrices      = 5000
	maxPatterns    = 100 // of one price
	maxTiers       = 8
	maxSources     = 100
	maxSource      = 500    // bytes
	maxVersion     = 64     // bytes
	maxDollars     = 100000 // per million tokens
	maxPriceFaults = 1000
)

// PriceFault is one thing wrong with a file of prices.
type PriceFault struct {
	Line   int
	Field  string // such as models[3].input
	Detail string
}

// PriceFaults are all that is wrong with one, in the order of their lines.
type PriceFaults []PriceFault

func (f PriceFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fmt.Sprintf("line %d: %s: %s", fault.Line, fault.Field, fault.Detail)
	}
	return strings.Join(lines, "\n")
}

// ParsePrices reads a file of prices. The error is a PriceFaults that holds every fault.
func ParsePrices(file []byte) (*Prices, error) {
	var r priceReader
	root := r.document(file)
	if root == nil {
		return nil, r.err()
	}
	fields := r.mapping(root, "", "version", "currency", "source", "models")
	version := r.version(root, fields["version"])
	if currency := fields["currency"]; currency == nil {
		r.fault(root, "currency", "is missing; it must be USD")
	} else if text, ok := r.text(currency, "currency"); ok && text != "USD" {
		r.fault(currency, "currency", "must be USD, the only one that prices are kept in")
	}
	r.source(fields["source"])
	models := r.models(root, fields["models"], version)
	if err := r.err(); err != nil {
		return nil, err
	}
	return &Prices{version: version, tables: []*priceTable{newPriceTable(version, models)}}, nil
}

// priceReader reads the nodes of a file, and notes their faults.
type priceReader struct{ faults PriceFaults }

func (r *priceReader) fault(n *yaml.Node, field, format string, args ...any) {
	r.faultAt(n.Line, field, format, args...)
}

func (r *priceReader) faultAt(line int, field, format string, args ...any) {
	if len(r.faults) <= maxPriceFaults {
		r.faults = append(r.faults, PriceFault{line, field, fmt.Sprintf(format, args...)})
	}
}

func (r *priceReader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	if len(r.faults) > maxPriceFaults {
		last := &r.faults[maxPriceFaults]
		*last = PriceFault{last.Line, "file", "has more faults than are listed"}
	}
	slices.SortStableFunc(r.faults, func(a, b PriceFault) int { return cmp.Compare(a.Line, b.Line) })
	return r.faults
}

var (
	yamlError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	// parserProblem is what the library counts lines from 0 for; those of its scanner it counts from 1.
	parserProblem = regexp.MustCompile(`^(?:did not find expected (?:node content|'-' indicator|key|',' or ']'|',' or '}'|<)|found undefined tag)`)
)

// document finds the one mapping of a file; nil if there is none.
func (r *priceReader) document(file []byte) *yaml.Node {
	if len(file) > MaxPriceFile {
		r.faultAt(1, "file", "must be at most %d bytes", MaxPriceFile)
		return nil
	}
	if i := bytes.IndexByte(file, 0); i >= 0 {
		r.faultAt(1+bytes.Count(file[:i], []byte("\n")), "file", "must not contain NUL characters")
		return nil
	}
	if !utf8.Valid(file) {
		good := 0
		for good < len(file) {
			char, size := utf8.DecodeRune(file[good:])
			if char == utf8.RuneError && size == 1 {
				break
			}
			good += size
		}
		r.faultAt(1+bytes.Count(file[:good], []byte("\n")), "file", "must be valid UTF-8")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		r.faultAt(1, "file", "is empty")
		return nil
	}
	if err == nil {
		err = decoder.Decode(&more)
		if err == nil {
			r.fault(&more, "file", "must be one YAML document, not several")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		place := yamlError.FindStringSubmatch(err.Error())
		line, _ := strconv.Atoi(place[1]) // 0 where it names none
		problem := err.Error()[len(place[0]):]
		if parserProblem.MatchString(problem) {
			line++
		}
		lines := bytes.Count(bytes.TrimSuffix(file, []byte("\n")), []byte("\n")) + 1 // it may point behind the last
		r.faultAt(min(max(line, 1), lines), "file", "is not YAML: %s", excerpt(problem))
		return nil
	}
	return document.Content[0]
}

// version reads what the table is called. A + would look like that of a table laid over another.
func (r *priceReader) version(root, n *yaml.Node) string {
	if n == nil {
		r.fault(root, "version", "is missing; it names the table, by a date for example")
		return ""
	}
	text, ok := r.text(n, "version")
	if ok && (len(text) > maxVersion || !versionName.MatchString(text)) {
		r.fault(n, "version", "must be at most %d letters, digits, dots, hyphens, colons and underscores, not %s", maxVersion, quoteExcerpt(text))
	}
	return text
}

var versionName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// source reads notes for people.
func (r *priceReader) source(n *yaml.Node) {
	if n == nil {
		return
	}
	notes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		notes = n.Content
		if len(notes) > maxSources {
			r.fault(n, "source", "must have at most %d lines", maxSources)
			return
		}
	}
	for i, note := range notes {
		field := "source"
		if n.Kind == yaml.SequenceNode {
			field = fmt.Sprintf("source[%d]", i)
		}
		if text, ok := r.text(note, field); ok && len(text) > maxSource {
			r.fault(note, field, "must be at most %d bytes", maxSource)
		}
	}
}

// mapping reads the fields of a mapping, each known and there once.
func (r *priceReader) mapping(n *yaml.Node, field string, known ...string) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		r.wrongKind(n, cmp.Or(field, "file"), "a mapping")
		return fields
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode || !slices.Contains(known, name.Value):
			label := excerpt(name.Value)
			if label == "" || !isWord(label) {
				label = strconv.Quote(label)
			}
			r.fault(name, join(field, label), "is not a field here; known are %s", strings.Join(known, ", "))
		case fields[name.Value] != nil:
			r.fault(name, join(field, name.Value), "is there twice, first in line %d", fields[name.Value].Line)
		default:
			fields[name.Value] = value
		}
	}
	return fields
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func (r *priceReader) wrongKind(n *yaml.Node, field, want string) {
	if n.Kind == yaml.AliasNode {
		r.fault(n, field, "is an alias, which are not followed here; write it out")
		return
	}
	r.fault(n, field, "must be %s", want)
}

// text reads a scalar as it is written, whatever YAML takes it for.
func (r *priceReader) text(n *yaml.Node, field string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode || !slices.Contains([]string{"!!str", "!!int", "!!float", "!!timestamp"}, n.ShortTag()):
		r.wrongKind(n, field, "text")
	case n.Value == "":
		r.fault(n, field, "must not be empty")
	default:
		return n.Value, true
	}
	return "", false
}

// date reads a day, or a moment. A day begins at midnight UTC.
func (r *priceReader) date(n *yaml.Node, field string) time.Time {
	if n == nil {
		return time.Time{}
	}
	text, ok := r.text(n, field)
	if !ok {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	r.fault(n, field, "must be a day such as 2006-01-02 or a time such as 2006-01-02T15:04:05Z, not %s", quoteExcerpt(text))
	return time.Time{}
}

var plainDecimal = regexp.MustCompile(`^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$`)

// rate reads USD per million tokens, exactly.
func (r *priceReader) rate(n *yaml.Node, field string) Rate {
	text, ok := r.text(n, field)
	if !ok {
		return 0
	}
	const decimals = 6
	whole, rest, _ := strings.Cut(text, ".")
	rest = strings.TrimRight(rest, "0")
	switch {
	case strings.HasPrefix(text, "-"):
		r.fault(n, field, "must not be negative")
	case !plainDecimal.MatchString(text):
		r.fault(n, field, "must be a decimal number such as 0.25, in USD per million tokens, not %s", quoteExcerpt(text))
	case len(rest) > decimals:
		r.fault(n, field, "must have at most %d decimals", decimals)
	default:
		dollars, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || dollars > maxDollars || dollars == maxDollars && rest != "" {
			r.fault(n, field, "must be at most %d USD per million tokens", maxDollars)
			return 0
		}
		micros, _ := strconv.ParseInt((rest + "000000")[:decimals], 10, 64) // six digits
		return Rate(dollars*1e6 + micros)
	}
	return 0
}

// quoteExcerpt quotes what is written in a file, or its beginning.
func quoteExcerpt(text string) string { return strconv.Quote(excerpt(text)) }

func excerpt(text string) string {
	const most = 60
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
