package input

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/report"
)

// Instant reads a time. It returns the zero time if the parameter is missing.
func (q *Query) Instant(name string) time.Time {
	text, given := q.Text(name)
	if !given {
		return time.Time{}
	}
	var at time.Time
	// UnmarshalText is stricter than time.Parse. PostgreSQL's times begin before 1970 and end after the year 9999.
	if err := at.UnmarshalText([]byte(text)); err != nil || at.Unix() < 0 || at.Year() > 9999 {
		q.Fault("invalid_parameter", name, "must be a time from 1970 on as in RFC 3339, such as 2006-01-02T15:04:05Z; a + is sent as %%2B")
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}

// Within reads from and to, which may be missing.
func (q *Query) Within() (from, to time.Time) {
	from, to = q.Instant("from"), q.Instant("to")
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		q.Fault("invalid_parameter", "to", "must be after from")
	}
	return from, to
}

// Window reads hours, or from and to. It limits the window to the maximum number of hours. now is the end by default.
func (q *Query) Window(now time.Time) report.Window {
	_, byHours := q.values["hours"]
	hours := q.Integer("hours", 24, 1, report.MaxHours)
	from, to := q.Within()
	if byHours && (!from.IsZero() || !to.IsZero()) {
		q.Fault("invalid_parameter", "hours", "must not be given together with from and to")
	}
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-time.Duration(hours) * time.Hour)
	}
	switch {
	case !from.Before(to):
		q.Fault("invalid_parameter", "from", "must be in the past, before to")
	case to.After(now.Add(time.Minute)):
		q.Fault("invalid_parameter", "to", "must not be in the future")
	case to.Sub(from) > report.MaxHours*time.Hour:
		q.Fault("invalid_parameter", "from", "must be at most %d hours before to", report.MaxHours)
	case from.Unix() < 0:
		q.Fault("invalid_parameter", "from", "must not be before 1970")
	}
	w := execution.Window{From: from.UTC().Truncate(time.Minute), To: to.UTC().Truncate(time.Minute)}
	if w.To.Before(to) {
		w.To = w.To.Add(time.Minute)
	}
	return report.Window(w)
}

// Name reads a text of at most limit bytes. It returns "" if the parameter is missing.
func (q *Query) Name(name string, limit int) string {
	text, given := q.Text(name)
	if given && (text == "" || len(text) > limit || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)) {
		q.Fault("invalid_parameter", name, "must be 1 to %d bytes of UTF-8 without control characters", limit)
	}
	return text
}

// Boolean reads true or false.
func (q *Query) Boolean(name string) bool {
	return OneOf(q, name, "true", "false") == "true"
}

// Milliseconds reads a duration. It returns nil if the parameter is missing.
func (q *Query) Milliseconds(name string, limit time.Duration) *time.Duration {
	us, given, ok := q.decimal(name, 1e3)
	if given && (!ok || us > limit.Microseconds()) {
		q.Fault("invalid_parameter", name, "must be a number of milliseconds from 0 to %d", limit.Milliseconds())
	}
	if !given || !ok {
		return nil
	}
	return new(time.Duration(us) * time.Microsecond)
}

const maxAmount = 1_000_000 // USD

// NanoUSD reads an amount in USD. It returns nil if the parameter is missing.
func (q *Query) NanoUSD(name string) *int64 {
	nano, given, ok := q.decimal(name, 1e9)
	if given && (!ok || nano > maxAmount*1e9) {
		q.Fault("invalid_parameter", name, "must be an amount in USD from 0 to %d, such as 0.25", maxAmount)
	}
	if !given || !ok {
		return nil
	}
	return &nano
}

// decimals are the spellings of a number that JSON has, with a limit of its exponent.
var decimals = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$`)

// decimal reads a number of at least 0 in parts of one, rounded. It is not ok if the parameter is none, or too large.
func (q *Query) decimal(name string, parts int64) (n int64, given, ok bool) {
	text, given := q.Text(name)
	if !given || len(text) > 32 || !decimals.MatchString(text) {
		return 0, given, false
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok || exact.Sign() < 0 {
		return 0, given, false
	}
	n, err := strconv.ParseInt(exact.Mul(exact, big.NewRat(parts, 1)).FloatString(0), 10, 64)
	return n, given, err == nil
}
