package prices_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/yamlfile"
)

// faults returns the faults of a file as line:field: detail.
func faults(t testing.TB, file string) []string {
	t.Helper()
	p, err := prices.Parse([]byte(file))
	if err == nil {
		return nil
	}
	var all yamlfile.Faults
	if !errors.As(err, &all) || p != nil || len(all) == 0 {
		t.Fatalf("got %v, %v", p, err)
	}
	var lines []string
	for _, f := range all {
		lines = append(lines, fmt.Sprintf("%d:%s: %s", f.Line, f.Field, f.Detail))
	}
	return lines
}

const head = "version: x\ncurrency: USD\n"

func TestPriceFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"null", "~\n", []string{
			"1:file: must be a mapping", "1:version: is missing; it names the table, by a date for example",
			"1:currency: is missing; it must be USD", "1:models: is missing",
		}},
		{"a list", "- a", []string{
			"1:file: must be a mapping", "1:version: is missing; it names the table, by a date for example",
			"1:currency: is missing; it must be USD", "1:models: is missing",
		}},
		{"too large", head + "models: []\n#" + strings.Repeat("x", prices.MaxFile), []string{"1:file: must be at most 1048576 bytes"}},
		{"every field at the top", "version: a+b\ncurrency: EUR\nsource: [a, [b]]\nmodel: []\nmodels: {}\nversion: 1\n", []string{
			`1:version: must be at most 64 letters, digits, dots, hyphens, colons and underscores, not "a+b"`,
			"2:currency: must be USD, the only one that prices are kept in",
			"3:source[1]: must be text",
			"4:model: is not a field here; known are version, currency, source, date, defaults, self_hosted, factors, models",
			"5:models: must be a list",
			"6:version: is duplicated, first in line 1",
		}},
		{"every field of a price", head + `models:
  - match: [a, a, "", [b], "c d", "**", ~, true]
    provider: "x y"
    from: yesterday
    until: 2026-13-01
    input: -1
    output: 1e3
    cache_read: 0.0000001
    cache_write: 100000.000001
    tier: []
`, []string{
			`4:models[0].match[1]: "a" is duplicated`,
			"4:models[0].match[2]: must not be empty",
			"4:models[0].match[3]: must be text",
			`4:models[0].match[4]: must be at most 128 bytes without blanks, not "c d"`,
			`4:models[0].match[5]: one * is enough where "**" has several in a row`,
			"4:models[0].match[6]: must be text",
			"4:models[0].match[7]: must be text",
			`5:models[0].provider: must be at most 64 bytes without blanks, not "x y"`,
			`6:models[0].from: must be a day such as 2006-01-02 or a time such as 2006-01-02T15:04:05Z, not "yesterday"`,
			`7:models[0].until: must be a day such as 2006-01-02 or a time such as 2006-01-02T15:04:05Z, not "2026-13-01"`,
			"8:models[0].input: must not be negative",
			`9:models[0].output: must be a decimal number such as 0.25, in USD per million tokens, not "1e3"`,
			"10:models[0].cache_read: must have at most 6 decimals",
			"11:models[0].cache_write: must be at most 100000 USD per million tokens",
			"12:models[0].tier: is not a field here; known are match, provider, elsewhere, exact, from, until, input, output, cache_read, cache_write, cache_write_1h, audio_input, audio_output, audio_cache_read, image_input, image_output, tiers, service_tiers, hours, source, date",
		}},
		{"every field of a tier", head + `models:
  - match: [a]
    input: 1
    output: 1
    tiers:
      - {above_input_tokens: 0, input: 1, output: 1}
      - {above_input_tokens: 1.5, input: 1, output: 1}
      - {above_input_tokens: 200000, input: 1, output: 1}
      - {above_input_tokens: 200000, input: 1, output: .5}
      - {input: 0x10}
      - text
`, []string{
			`8:models[0].tiers[0].above_input_tokens: must be a whole number from 1 to 1000000000, not "0"`,
			`9:models[0].tiers[1].above_input_tokens: must be a whole number from 1 to 1000000000, not "1.5"`,
			`11:models[0].tiers[3].output: must be a decimal number such as 0.25, in USD per million tokens, not ".5"`,
			"11:models[0].tiers[3].above_input_tokens: must be more than that of the tier before",
			`12:models[0].tiers[4].input: must be a decimal number such as 0.25, in USD per million tokens, not "0x10"`,
			"12:models[0].tiers[4].output: is missing; write 0 for what costs nothing",
			"12:models[0].tiers[4].above_input_tokens: is missing",
			"13:models[0].tiers[5]: must be a mapping",
		}},
		{"what is missing", head + "models:\n  - {}\n  - match: []\n    input: 1\n  - 7\n", []string{
			"4:models[0].match: is missing; it lists the models' names",
			"4:models[0].input: is missing; write 0 for what costs nothing",
			"4:models[0].output: is missing; write 0 for what costs nothing",
			"5:models[1].match: must not be empty",
			"5:models[1].output: is missing; write 0 for what costs nothing",
			"7:models[2]: must be a mapping",
		}},
		{"numbers that are none", head + "models: [{match: [a], input: NaN, output: .inf}, {match: [b], input: 010, output: \"\"}, {match: [c], input: 1_000, output: 99999999999999999999}]", []string{
			`3:models[0].input: must be a decimal number such as 0.25, in USD per million tokens, not "NaN"`,
			`3:models[0].output: must be a decimal number such as 0.25, in USD per million tokens, not ".inf"`,
			`3:models[1].input: must be a decimal number such as 0.25, in USD per million tokens, not "010"`,
			"3:models[1].output: must not be empty",
			`3:models[2].input: must be a decimal number such as 0.25, in USD per million tokens, not "1_000"`,
			"3:models[2].output: must be at most 100000 USD per million tokens",
		}},
		{"times that overlap", head + `models:
  - {match: [a, b], from: 2026-01-01, until: 2026-02-01, input: 1, output: 1}
  - {match: [A], from: 2026-02-01, input: 1, output: 1}
  - {match: [b], from: 2026-01-31T23:59:59Z, input: 1, output: 1}
  - {match: [a], until: 2025-12-31, input: 1, output: 1}
  - {match: [a], from: 2030-01-01, until: 2031-01-01, input: 1, output: 1}
  - {match: [a], provider: other, input: 1, output: 1}
  - {match: [a], until: 2025-12-31, from: 2026-01-01, input: 1, output: 1}
`, []string{
			`6:models[2].match: "b" has a price for the same time in line 4`,
			`8:models[4].match: "a" has a price for the same time in line 5`,
			"10:models[6].until: must be after from",
		}},
		{"times within a longer one", head + `models:
  - {match: [a], from: 2020-01-01, until: 2030-01-01, input: 1, output: 1}
  - {match: [a], from: 2021-01-01, until: 2022-01-01, input: 1, output: 1}
  - {match: [a], from: 2025-01-01, until: 2026-01-01, input: 1, output: 1}
  - {match: [a], from: 2030-01-01, input: 1, output: 1}
`, []string{
			`5:models[1].match: "a" has a price for the same time in line 4`,
			`6:models[2].match: "a" has a price for the same time in line 4`,
		}},
		{"dimensions", head + `date: today
defaults: {provider: [a, a], elsewhere: anywhere, date: 2026-02-30, more: 1}
self_hosted: [x y]
factors:
  - {factor: 0}
  - {service_tier: standard, factor: 10.5}
  - {provider: [], match: [""], region: ["**"], factor: 1.00001}
  - {match: [a]}
models:
  - match: [a]
    input: 1
    output: 1
    exact: maybe
    elsewhere: unnamed
    date: 1
    audio_input: -1
    service_tiers: {batch: 0, Default: 1, batches: 1, "x y": 1, fast: {input: 1}, slow: [1]}
    hours:
      - {days: [monday, mon], from: "7:5", until: "25:00", factor: 1, input: 2}
      - {from: "10:00", until: "09:00", input: 1, output: 1}
      - {}
      - 7
    tiers: [{above_input_tokens: 5, from_input_tokens: 5, input: 1, output: 1}, {from_input_tokens: 1, input: 1, output: 1}]
`, []string{
			`3:date: must be a day such as 2006-01-02, not "today"`,
			"4:defaults.more: is not a field here; known are provider, elsewhere, source, date",
			`4:defaults.provider[1]: "a" is duplicated`,
			`4:defaults.elsewhere: must be unnamed, unknown or never, not "anywhere"`,
			`4:defaults.date: must be a day such as 2006-01-02, not "2026-02-30"`,
			`5:self_hosted[0]: must be at most 64 bytes without blanks, not "x y"`,
			"7:factors[0].factor: must be more than 0; write prices of 0 for what costs nothing",
			"8:factors[1].service_tier: must be a tier other than the standard one, such as batch",
			"8:factors[1].factor: must be at most 10 times the price",
			"9:factors[2].provider: must not be empty",
			"9:factors[2].match[0]: must not be empty",
			`9:factors[2].region[0]: one * is enough where "**" has several in a row`,
			"9:factors[2].factor: must have at most 4 decimals",
			"10:factors[3].factor: is missing",
			"15:models[0].exact: must be true or false",
			`17:models[0].date: must be a day such as 2006-01-02, not "1"`,
			"18:models[0].audio_input: must not be negative",
			"19:models[0].service_tiers.batch: must be more than 0; write prices of 0 for what costs nothing",
			`19:models[0].service_tiers.Default: is another name of the standard tier, which has the price itself`,
			`19:models[0].service_tiers.batches: is another name of batch`,
			`19:models[0].service_tiers."x y": must be named by at most 64 bytes without blanks`,
			"19:models[0].service_tiers.fast.output: is missing; write 0 for what costs nothing",
			"19:models[0].service_tiers.slow: must be text",
			`21:models[0].hours[0].from: must be a time of day such as 16:30, in UTC, not "7:5"`,
			`21:models[0].hours[0].until: must be a time of day such as 16:30, in UTC, not "25:00"`,
			`21:models[0].hours[0].days[0]: must be one of sun, mon, tue, wed, thu, fri, sat, not "monday"`,
			"21:models[0].hours[0].input: cannot be combined with factor",
			"22:models[0].hours[1].until: must be after from; write a time over midnight as two",
			"23:models[0].hours[2].input: is missing; write 0 for what costs nothing",
			"23:models[0].hours[2].output: is missing; write 0 for what costs nothing",
			"24:models[0].hours[3]: must be a mapping",
			"25:models[0].tiers[0].above_input_tokens: cannot be combined with from_input_tokens",
			"25:models[0].tiers[1].from_input_tokens: must be more than that of the tier before",
		}},
		{"aliases", "version: &a x\ncurrency: *a\nmodels: &m [{match: &n [a], input: &o 1, output: *o}, *m, {<<: *m, match: *n, input: 1, output: 1}]", []string{
			"2:currency: is an alias, which are not followed here; write it out",
			"3:models[0].output: is an alias, which are not followed here; write it out",
			"3:models[1]: is an alias, which are not followed here; write it out",
			"3:models[2].<<: is not a field here; known are match, provider, elsewhere, exact, from, until, input, output, cache_read, cache_write, cache_write_1h, audio_input, audio_output, audio_cache_read, image_input, image_output, tiers, service_tiers, hours, source, date",
			"3:models[2].match: is an alias, which are not followed here; write it out",
		}},
		{"text of others is cut", head + "models: [{match: [\"" + strings.Repeat("é", 70) + "\"], input: 1, output: 1}]\n" + strings.Repeat("y", 100) + ": 1", []string{
			`3:models[0].match[0]: must be at most 128 bytes without blanks, not "` + strings.Repeat("é", 30) + `…"`,
			"4:" + strings.Repeat("y", 60) + "…: is not a field here; known are version, currency, source, date, defaults, self_hosted, factors, models",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, faults(t, tt.file)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPriceFaultsAreBounded(t *testing.T) {
	t.Parallel()
	got := faults(t, head+"models: ["+strings.Repeat("x,", 4000)+"x]")
	if want := "3:file: has more faults than are listed"; len(got) != 1001 || got[1000] != want {
		t.Errorf("got %d faults, the last %q", len(got), got[len(got)-1])
	}
	for name, file := range map[string]string{
		"models":  head + "models: [" + strings.Repeat("x,", 5001) + "]",
		"names":   head + "models: [{input: 1, output: 1, match: [" + strings.Repeat("x,", 101) + "]}]",
		"tiers":   head + "models: [{match: [a], input: 1, output: 1, tiers: [" + strings.Repeat("x,", 9) + "]}]",
		"sources": head + "models: []\nsource: [" + strings.Repeat("x,", 101) + "]",
		"source":  head + "models: []\nsource: " + strings.Repeat("x", 501),
	} {
		if got := faults(t, file); len(got) != 1 || !strings.Contains(got[0], "must have at most") && !strings.Contains(got[0], "must be at most") {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// rates returns the rates of an entry with only these.
func rates(input, output, read, write prices.Rate) prices.Rates {
	return prices.Rates{
		Input: input, Output: output, CacheRead: read, CacheWrite: write, CacheWrite1h: write,
		AudioInput: input, AudioOutput: output, AudioCacheRead: read, ImageInput: input, ImageOutput: output,
	}
}

func TestParsePrices(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/prices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := prices.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []prices.ModelPrice{
		{
			Match: []string{"acme-large", "acme-large-*"}, Providers: []string{"acme"}, Version: "acme.2026-11_1:x", Line: 8,
			From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 6, 30, 22, 0, 0, 0, time.UTC),
			Rates: rates(2_500_000, 10_000_000, 250_000, 3_125_000),
			Tiers: []prices.Tier{{Above: 200_000, Rates: rates(5_000_000, 15_000_001, 5_000_000, 5_000_000)}},
		},
		{
			Match: []string{"4"}, Version: "acme.2026-11_1:x", Line: 21,
			Rates: rates(100_000_000_000, 0, 100_000_000_000, 100_000_000_000),
		},
	}
	if diff := cmp.Diff(want, p.Models()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func FuzzParsePrices(f *testing.F) {
	file, err := os.ReadFile("testdata/prices.yaml") // shrinking the shipped one takes too long
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	for _, file := range []string{
		"", "a: &a [*a]",
		head + "date: 2026-01-01\ndefaults: {provider: [a, b], elsewhere: unnamed}\nself_hosted: [gpu]\nfactors: [{region: ['eu*'], service_tier: batch, factor: 0.5}]\nmodels: [{match: [m], exact: true, input: 1, output: 2, cache_write_1h: 3, audio_input: 4, service_tiers: {batch: 0.5, fast: {input: 9, output: 9}}, hours: [{days: [sun], from: '01:00', until: '24:00', factor: 10}]}]",
		head + "models: [{match: [m], elsewhere: unknown, input: 1, output: 2, tiers: [{from_input_tokens: 5, input: 3, output: 4}]}]", head + "models: [{match: ['*'], input: 0.000001, output: 1}]",
		head + "models: [{match: [a], from: 0001-01-01, until: 9999-12-31, input: 1, output: 1, tiers: [{above_input_tokens: 1, input: 2, output: 2}]}]",
		"? [a]\n: b", "<<: {a: b}", "!!binary aGk=: 1", "\ufeffversion: x", "version: |\n x\n",
	} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := prices.Parse(file)
		if err != nil {
			var all yamlfile.Faults
			if !errors.As(err, &all) || len(all) == 0 || p != nil || !utf8.ValidString(err.Error()) {
				t.Fatalf("got %v, %v", p, err)
			}
			for _, fault := range all {
				if fault.Line < 1 || fault.Field == "" || fault.Detail == "" {
					t.Errorf("a fault that says little: %+v", fault)
				}
			}
			return
		}
		for _, m := range p.Models() {
			for _, pattern := range m.Match {
				e := execution.Execution{
					Model: pattern, Provider: strings.Join(m.Providers[:min(len(m.Providers), 1)], ""), CreatedAt: m.From,
					Tokens:  execution.Tokens{Input: math.MaxInt64, CacheRead: 1 << 40, CacheWrite: 1 << 30, Output: math.MaxInt64},
					Billing: execution.Billing{ServiceTier: "batch", Region: "eu", CacheWrite1h: 1 << 20, AudioInput: math.MaxInt64, ImageInput: -1, AudioCacheRead: 7},
				}
				limit, _ := p.Cost(&e)
				e.Tokens.Output = 1
				minimum, _ := p.Cost(&e)
				if minimum < 0 || limit < minimum {
					t.Errorf("%s costs from %d to %d", pattern, minimum, limit)
				}
			}
		}
		both := prices.Overlay(prices.Default(), p)
		prices.Overrides(prices.Default(), p)
		both.Price(&execution.Execution{Model: "gpt-4o", Tokens: execution.Tokens{Input: 1}})
	})
}
