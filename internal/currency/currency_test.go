package currency_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/currency"
)

const file = `date,currency,units_per_usd
# working days only
2026-11-30,EUR,0.861234567
2026-11-27,EUR,0.86
2026-11-27,JPY,155.5
`

func on(t *testing.T, date string) time.Time {
	t.Helper()
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

func TestRatesOn(t *testing.T) {
	t.Parallel()
	rates, err := currency.Parse([]byte(file), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	for day, want := range map[string]string{
		"2026-11-26": "", "2026-11-27": "2026-11-27", "2026-11-29": "2026-11-27", "2026-11-30": "2026-11-30", "2027-01-01": "2026-11-30",
	} {
		got := ""
		if rate, ok := rates.On(on(t, day)); ok {
			got = rate.Date.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%s: want the rate of %q, got %q", day, want, got)
		}
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	rates, err := currency.Parse([]byte(file), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	rate, _ := rates.On(on(t, "2026-11-30"))
	for usd, want := range map[int64]int64{
		0: 0, 1: 1, -1: -1, 1_000_000_000: 861_234_567, -1_000_000_000: -861_234_567, math.MaxInt64: 7_943_486_822_440_530_884,
	} {
		if got := rate.Convert(usd); got != want {
			t.Errorf("%d: want %d, got %d", usd, want, got)
		}
	}
	dear, err := currency.Parse([]byte("date,currency,units_per_usd\n2026-11-27,JPY,155.5\n"), "JPY")
	if err != nil {
		t.Fatal(err)
	}
	for usd, want := range map[int64]int64{2: 311, math.MaxInt64: math.MaxInt64, math.MinInt64: -math.MaxInt64} {
		if got := dear[0].Convert(usd); got != want {
			t.Errorf("%d: want %d yen, got %d", usd, want, got)
		}
	}
}

func TestParseAcceptsSpreadsheetCSV(t *testing.T) {
	t.Parallel()
	rates, err := currency.Parse([]byte("\uFEFF"+strings.ReplaceAll(file, "\n", "\r\n")), "EUR")
	if err != nil || len(rates) != 2 {
		t.Errorf("want 2 rates, got %v, %v", rates, err)
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	t.Parallel()
	const head = "date,currency,units_per_usd\n"
	for name, tt := range map[string]struct {
		file string
		want []string
	}{
		"empty":         {"", []string{"no rate of EUR"}},
		"no header":     {"2026-11-27,EUR,0.86\n", []string{"line 1: must be the header"}},
		"no such rates": {head + "2026-11-27,JPY,155\n", []string{"no rate of EUR"}},
		"several": {
			head + "27.11.2026,EUR,0.86\n2026-11-27,euro,1\n2026-11-27,EUR,0\n2026-11-27,EUR,-1\n2026-11-27,EUR,NaN\n2026-11-27,EUR,1e3\n2026-11-27\n",
			[]string{"line 2: date", "line 3: currency", "line 4: units", "line 5: units", "line 6: units", "line 7: units", "line 8: must have 3 columns"},
		},
		"twice":        {head + "2026-11-27,EUR,0.86\n2026-11-27,EUR,0.87\n", []string{"line 3: EUR of 2026-11-27 is on line 2 already"}},
		"a quote":      {head + "\"2026", []string{"line 2"}},
		"too large":    {head + "2026-11-27,EUR,99999999999\n", []string{"line 2: units"}},
		"too precise":  {head + "2026-11-27,EUR,0.1234567891\n", []string{"line 2: units"}},
		"many of them": {head + strings.Repeat("x,EUR,1\n", 1000), []string{"line 21", "there are more faults"}},
	} {
		_, err := currency.Parse([]byte(tt.file), "EUR")
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %q, got %v", name, want, err)
			}
		}
		if err != nil && len(err.Error()) > 4000 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
	}
}
