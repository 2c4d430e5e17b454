package report

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/text"
)

// fields checks the fields below a path and collects their faults.
type fields struct {
	path   string
	faults *FieldErrors
}

func (f fields) in(field string) fields {
	return fields{path: f.at(field), faults: f.faults}
}

func (f fields) at(field string) string {
	if f.path == "" {
		return field
	}
	return f.path + "." + field
}

// index returns the path of an element of a list.
func (f fields) index(i int) string { return fmt.Sprintf("%s[%d]", f.path, i) }

func (f fields) fault(field, format string, args ...any) {
	f.faults.add(f.at(field), format, args...)
}

// label matches DNS labels, since objectives become names of rules and alerts.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (f fields) name(field, s string) {
	if !label.MatchString(s) {
		f.fault(field, "must be 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit, not %s", text.Quote(s, 40))
	}
}

// text checks a text for people.
func (f fields) text(field, s string, limit int) {
	switch {
	case !utf8.ValidString(s):
		f.fault(field, "is not valid UTF-8")
	case utf8.RuneCountInString(s) > limit:
		f.fault(field, "is longer than %d characters", limit)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		f.fault(field, "has a character that cannot be printed")
	}
}

func (f fields) route(field, s string) {
	if !strings.HasPrefix(s, "/") {
		f.fault(field, "must be a route that begins with /, not %s", text.Quote(s, 40))
		return
	}
	f.text(field, s, 256)
}

func (f fields) method(field, s string) {
	methods := []string{"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
	if s != "" && !slices.Contains(methods, s) {
		f.fault(field, "must be one of %s, not %s", strings.Join(methods, ", "), text.Quote(s, 40))
	}
}

// decimalSyntax excludes forms that are mistakes in an objective: signs, exponents, hexadecimal, infinity.
var decimalSyntax = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)

// decimal parses a number above 0 and up to most, rounded to the nearest float.
func (f fields) decimal(field, s string, limit float64) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !decimalSyntax.MatchString(s) || n <= 0 || n > limit {
		f.fault(field, `must be a decimal number above 0 and at most %.0f, such as "0.5", not %s`, limit, text.Quote(s, 40))
		return 0
	}
	return n
}

// inside parses a number strictly between 0 and 1.
func (f fields) inside(field, s string) float64 {
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !decimalSyntax.MatchString(s) || q <= 0 || q >= 1 {
		f.fault(field, `must be a decimal number between 0 and 1, such as "0.95", not %s`, text.Quote(s, 40))
		return 0
	}
	return q
}

// threshold parses a duration that latencies can be compared with, and returns it in milliseconds.
func (f fields) threshold(field, s string) float64 {
	d, err := time.ParseDuration(s)
	if err != nil || len(s) > 32 || d < time.Microsecond || d.Seconds() > sketch.Longest {
		f.fault(field, `must be a duration from 1us to 10m, such as "200ms", not %s`, text.Quote(s, 40))
		return 0
	}
	return float64(d) / float64(time.Millisecond)
}
