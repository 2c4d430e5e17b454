package server

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/report"
)

// instant reads a time. It returns the zero time if the parameter is missing.
func (q *query) instant(name string) time.Time {
	text, given := q.text(name)
	if !given {
		return time.Time{}
	}
	var at time.Time
	// UnmarshalText is stricter than time.Parse. PostgreSQL's times begin before 1970 and end after the year 9999.
	if err := at.UnmarshalText([]byte(text)); err != nil || at.Unix() < 0 || at.Year() > 9999 {
		q.fault("invalid_parameter", name, "must be a time from 1970 on as in RFC 3339, such as 2006-01-02T15:04:05Z; a + is sent as %%2B")
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}

// within reads from and to, which may be missing.
func (q *query) within() (from, to time.Time) {
	from, to = q.instant("from"), q.instant("to")
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		q.fault("invalid_parameter", "to", "must be after from")
	}
	return from, to
}

// window reads hours, or from and to. It limits the window to the maximum number of hours. now is the end by default.
func (q *query) window(now time.Time) report.Window {
	_, byHours := q.values["hours"]
	hours := q.integer("hours", defaultHours, 1, report.MaxHours)
	from, to := q.within()
	if byHours && (!from.IsZero() || !to.IsZero()) {
		q.fault("invalid_parameter", "hours", "must not be given together with from and to")
	}
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-time.Duration(hours) * time.Hour)
	}
	switch {
	case !from.Before(to):
		q.fault("invalid_parameter", "from", "must be in the past, before to")
	case to.After(now.Add(time.Minute)):
		q.fault("invalid_parameter", "to", "must not be in the future")
	case to.Sub(from) > report.MaxHours*time.Hour:
		q.fault("invalid_parameter", "from", "must be at most %d hours before to", report.MaxHours)
	case from.Unix() < 0:
		q.fault("invalid_parameter", "from", "must not be before 1970")
	}
	w := execution.Window{From: from.UTC().Truncate(time.Minute), To: to.UTC().Truncate(time.Minute)}
	if w.To.Before(to) {
		w.To = w.To.Add(time.Minute)
	}
	return report.Window(w)
}

// name reads a text of at most limit bytes. It returns "" if the parameter is missing.
func (q *query) name(name string, limit int) string {
	text, given := q.text(name)
	if given && (text == "" || len(text) > limit || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl)) {
		q.fault("invalid_parameter", name, "must be 1 to %d bytes of UTF-8 without control characters", limit)
	}
	return text
}

// boolean reads true or false.
func (q *query) boolean(name string) bool {
	return oneOf(q, name, "true", "false") == "true"
}

// milliseconds reads a duration. It returns nil if the parameter is missing.
func (q *query) milliseconds(name string, limit time.Duration) *time.Duration {
	text, given := q.text(name)
	if !given {
		return nil
	}
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(ms) || ms < 0 || ms > float64(limit.Milliseconds()) {
		q.fault("invalid_parameter", name, "must be a number of milliseconds from 0 to %d", limit.Milliseconds())
		return nil
	}
	return new(time.Duration(math.Round(ms*1e3)) * time.Microsecond)
}

const maxAmount = 1_000_000 // USD

// nanoUSD reads an amount in USD. It returns nil if the parameter is missing.
func (q *query) nanoUSD(name string) *int64 {
	text, given := q.text(name)
	if !given {
		return nil
	}
	amount, ok := new(big.Rat), false
	if len(text) <= 24 && !strings.ContainsAny(text, "eE/_xX") { // an exponent could need any amount of memory
		amount, ok = amount.SetString(text)
	}
	if !ok || amount.Sign() < 0 || amount.Cmp(big.NewRat(maxAmount, 1)) > 0 {
		q.fault("invalid_parameter", name, "must be an amount in USD from 0 to %d, such as 0.25", maxAmount)
		return nil
	}
	nano, _ := amount.Mul(amount, big.NewRat(1e9, 1)).Float64()
	return new(int64(math.Round(nano)))
}
