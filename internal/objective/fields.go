package objective

import (
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/text"
)

// fields checks the fields below a path and collects their faults.
type fields struct {
	path   string
	faults *[]Fault
}

func (f fields) in(field string) fields { return fields{path: f.path + "." + field, faults: f.faults} }

func (f fields) add(path, format string, args ...any) {
	*f.faults = append(*f.faults, Fault{path, fmt.Sprintf(format, args...)})
}

func (f fields) fault(field, format string, args ...any) { f.add(f.path+"."+field, format, args...) }

// label matches DNS labels, since objectives become names of rules and alerts.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (f fields) name(field, s string) {
	if !label.MatchString(s) {
		f.fault(field, "must be 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit, not %s", text.Quote(s, 40))
	}
}

// text checks a text for people.
func (f fields) text(field, s string, limit int) {
	if problem := text.Unprintable(s, limit); problem != "" {
		f.fault(field, "%s", problem)
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

func decimal(s string) (*big.Rat, bool) {
	if !decimalSyntax.MatchString(s) {
		return new(big.Rat), false
	}
	return new(big.Rat).SetString(s)
}

// decimal parses a number above 0 and up to limit.
func (f fields) decimal(field, s string, limit int64) *big.Rat {
	n, ok := decimal(s)
	if !ok || n.Sign() <= 0 || n.Cmp(big.NewRat(limit, 1)) > 0 {
		f.fault(field, `must be a decimal number above 0 and at most %d, such as "0.5", not %s`, limit, text.Quote(s, 40))
		return new(big.Rat)
	}
	return n
}

// inside parses a number strictly between 0 and 1.
func (f fields) inside(field, s string) *big.Rat {
	n, ok := decimal(s)
	if !ok || n.Sign() <= 0 || n.Cmp(big.NewRat(1, 1)) >= 0 {
		f.fault(field, `must be a decimal number between 0 and 1, such as "0.95", not %s`, text.Quote(s, 40))
		return new(big.Rat)
	}
	return n
}

// threshold parses a duration that latencies can be compared with.
func (f fields) threshold(field, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || len(s) > 32 || d < time.Microsecond || d.Seconds() > sketch.Longest {
		f.fault(field, `must be a duration from 1us to 10m, such as "200ms", not %s`, text.Quote(s, 40))
		return 0
	}
	return d
}
