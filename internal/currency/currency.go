// Package currency converts amounts in US dollars to another currency, at the rates of a file.
package currency

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/text"
)

const (
	// MaxFile is the limit of a file of rates, in bytes.
	MaxFile = 4 << 20

	maxFaults = 20 // limit of faults in an error
	maxQuoted = 40 // bytes of a field quoted in an error
	maxNano   = 1_000_000_000_000_000_000
	decimals  = 9
)

// Rate is how much of a currency a US dollar is worth from a date on.
type Rate struct {
	Date time.Time // midnight, UTC
	nano int64     // units of the currency per USD, in billionths
}

// Rates are the rates of one currency, ordered by date.
type Rates []Rate

// header is the first line of a file of rates.
var header = []string{"date", "currency", "units_per_usd"}

// ValidCode reports whether a currency code is three upper-case letters, as in ISO 4217.
func ValidCode(code string) bool {
	return len(code) == 3 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// Parse parses a file of rates, CSV with the columns date, currency and units_per_usd, and returns those of one
// currency. The error lists the faults of the file.
func Parse(content []byte, code string) (Rates, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(content), "\uFEFF"))) // byte order mark
	r.FieldsPerRecord, r.Comment, r.TrimLeadingSpace = -1, '#', true
	var faults []error
	fault := func(line int, format string, args ...any) {
		if len(faults) == maxFaults {
			faults = append(faults, errors.New("there are more faults"))
		} else if len(faults) < maxFaults {
			faults = append(faults, fmt.Errorf("line %d: "+format, append([]any{line}, args...)...))
		}
	}
	type day struct {
		currency string
		date     time.Time
	}
	seen := map[day]int{}
	var rates Rates
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			faults = append(faults, err)
			break // later lines cannot be parsed
		}
		line, _ := r.FieldPos(0)
		if first {
			if !slices.Equal(record, header) {
				fault(line, "must be the header %q", strings.Join(header, ","))
			}
			continue
		}
		if len(record) != len(header) {
			fault(line, "must have %d columns, not %d", len(header), len(record))
			continue
		}
		date, err := time.Parse(time.DateOnly, record[0])
		if err != nil {
			fault(line, "date must be one such as 2026-11-30, not %q", text.Cut(record[0], maxQuoted))
		}
		if !ValidCode(record[1]) {
			fault(line, "currency must be a code of three letters such as EUR, not %q", text.Cut(record[1], maxQuoted))
		}
		nano, ok := parseRate(record[2])
		if !ok {
			fault(line, "units_per_usd must be a number above 0 of at most %d decimals, not %q", decimals, text.Cut(record[2], maxQuoted))
		}
		if err != nil || !ok {
			continue
		}
		if earlier, twice := seen[day{record[1], date}]; twice {
			fault(line, "%s of %s is on line %d already", record[1], record[0], earlier)
			continue
		}
		seen[day{record[1], date}] = line
		if record[1] == code {
			rates = append(rates, Rate{date, nano})
		}
	}
	if len(rates) == 0 && len(faults) == 0 {
		faults = append(faults, fmt.Errorf("there is no rate of %s", code))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	slices.SortFunc(rates, func(a, b Rate) int { return a.Date.Compare(b.Date) })
	return rates, nil
}

// parseRate parses a number with up to nine decimals.
func parseRate(text string) (nano int64, ok bool) {
	whole, fraction, dot := strings.Cut(text, ".")
	if whole == "" || dot && fraction == "" || len(fraction) > decimals || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, false
	}
	nano, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	return nano, err == nil && nano > 0 && nano <= maxNano
}

// On returns the rate in force on a day: that of the day or the last one before. There is none before the first rate.
func (r Rates) On(day time.Time) (Rate, bool) {
	i, found := slices.BinarySearchFunc(r, day, func(rate Rate, day time.Time) int { return cmp.Compare(rate.Date.Unix(), day.Unix()) })
	if found {
		return r[i], true
	}
	if i == 0 {
		return Rate{}, false
	}
	return r[i-1], true
}

// Convert returns nano-USD in billionths of the currency, rounded half away from zero and limited to the largest
// number.
func (r Rate) Convert(nanoUSD int64) int64 {
	sign, amount := int64(1), uint64(nanoUSD)
	if nanoUSD < 0 {
		sign, amount = -1, -amount
	}
	const billion = 1_000_000_000
	high, low := bits.Mul64(amount, uint64(r.nano))
	low, carry := bits.Add64(low, billion/2, 0)
	high += carry
	if high >= billion {
		return sign * math.MaxInt64
	}
	quotient, _ := bits.Div64(high, low, billion)
	return sign * int64(min(quotient, math.MaxInt64))
}
