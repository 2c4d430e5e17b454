package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution/prices"
)

const acmePrices = `version: acme-1
currency: USD
models:
  - {match: ["text-embedding-ada*"], input: 4, output: 20}
  - match: [acme-large, acme-xl]
    provider: acme
    from: 2020-01-01
    until: 2999-01-01T12:00:00Z
    input: 2.50
    output: 10
    cache_read: 0.25
    tiers: [{above_input_tokens: 200000, input: 5, output: 15}]
  - {match: [acme-old], until: 2020-01-01, input: 1, output: 1}
`

func priceFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prices.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckPrices(t *testing.T) {
	t.Parallel()
	good, plain := priceFile(t, acmePrices), priceFile(t, "version: x\ncurrency: USD\nmodels: []\n")
	bad := priceFile(t, "version: x\nmodels:\n  - {match: [a], input: -1, output: 1}\n  - {input: \"\\e[31m\", \"\\e]0;x\": 1}\n")
	for _, test := range []struct {
		name, path, stdin string
		want              outcome
	}{
		{"good", good, "", outcome{0, good + ` is valid: version acme-1, 3 prices for 4 model names
LINE  MODELS               INSTEAD OF BUILT-IN PRICES OF
4     text-embedding-ada*  text-embedding-ada-002
`, ""}},
		{"good, and overrides nothing", plain, "", outcome{0, plain + " is valid: version x, 0 prices for 0 model names\n", "watchbill: no price takes precedence over a built-in one\n"}},
		{"standard input", "-", "version: x\ncurrency: USD\nmodels: []\n", outcome{0, "- is valid: version x, 0 prices for 0 model names\n", "watchbill: no price takes precedence over a built-in one\n"}},
		{"bad", bad, "", outcome{exitFailed, "", strings.ReplaceAll(`FILE:1: currency: is missing; it must be USD
FILE:3: models[0].input: must not be negative
FILE:4: models[1]."\x1b]0;x": is not a field here; known are match, provider, elsewhere, exact, from, until, input, output, cache_read, cache_write, cache_write_1h, audio_input, audio_output, audio_cache_read, image_input, image_output, tiers, service_tiers, hours, source, date
FILE:4: models[1].match: is missing; it lists the models' names
FILE:4: models[1].input: must be a decimal number such as 0.25, in USD per million tokens, not "\x1b[31m"
FILE:4: models[1].output: is missing; write 0 for what costs nothing
`, "FILE", bad)}},
		{"too large", "-", "#" + strings.Repeat("x", prices.MaxFile), outcome{exitFailed, "", "-:1: file: must be at most 1048576 bytes\n"}},
		{"no file", bad + "x", "", outcome{exitUsage, "", "watchbill: FILE: open " + bad + "x: no such file or directory\n"}},
		{"a folder", filepath.Dir(bad), "", outcome{exitUsage, "", "watchbill: FILE: read " + filepath.Dir(bad) + ": is a directory\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := shell{stdin: test.stdin}.run(t.Context(), "prices", "check", test.path)
			got.check(t, test.want.code, test.want.out, test.want.err)
		})
	}
}

func TestShowPrices(t *testing.T) {
	t.Parallel()
	file := priceFile(t, acmePrices)
	t.Run("a model", func(t *testing.T) {
		t.Parallel()
		got := shell{}.must(t, "prices", "show", "openai/gpt-4o-mini-2024-07-18")
		want := []string{"openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini", "openai", "0.15", "0.6", "0.075", "0.15", prices.Default().Version()}
		if fields := strings.Fields(got[strings.IndexByte(got, '\n'):]); len(fields) != len(want)+1 || !strings.HasPrefix(fields[len(want)], "makers/openai.yaml:") || !cmp.Equal(fields[:len(want)], want) {
			t.Errorf("want %q and a line, got\n%s", want, got)
		}
	})
	t.Run("models of a file", func(t *testing.T) {
		t.Parallel()
		shell{}.run(t.Context(), "prices", "show", "--file", file, "--provider", "ACME", "acme-large", "acme-old", "no\x1bne", "text-embedding-ada-002").check(t, exitFailed,
			`MODEL                   FOUND                PROVIDER  FROM        UNTIL                 ABOVE   INPUT  OUTPUT  CACHE READ  CACHE WRITE  VERSION  LINE
acme-large              acme-large           acme      2020-01-01  2999-01-01T12:00:00Z          2.5    10      0.25        2.5          acme-1   5
                                                                                         200000  5      15      5           5
text-embedding-ada-002  text-embedding-ada*                                                      4      20      4           4            acme-1   4
`, `watchbill: acme-old: has no price today: those of acme-old in acme-1 are for other times
watchbill: no`+"\uFFFD"+`ne: has no price: no pattern matches it
`)
	})
	t.Run("as JSON", func(t *testing.T) {
		t.Parallel()
		got := shell{}.must(t, "prices", "show", "--file", file, "-o", "json")
		var list priceList
		if err := json.Unmarshal([]byte(got), &list); err != nil {
			t.Fatal(err)
		}
		shipped := prices.Default()
		if want := "acme-1+" + shipped.Version(); list.Version != want || len(list.Prices) != 3+len(shipped.Models()) {
			t.Errorf("got %d prices of version %s", len(list.Prices), list.Version)
		}
		want := listedPrice{
			Match: []string{"acme-large", "acme-xl"}, Provider: "acme", From: "2020-01-01", Until: "2999-01-01T12:00:00Z",
			Rates: listedRates{Input: "2.5", Output: "10", CacheRead: "0.25", CacheWrite: "2.5"},
			Tiers: []listedTier{{Above: 200000, Rates: &listedRates{Input: "5", Output: "15", CacheRead: "5", CacheWrite: "5"}}}, Version: "acme-1", Line: 5,
		}
		if diff := cmp.Diff(want, list.Prices[1]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	t.Run("what else an execution tells", func(t *testing.T) {
		t.Parallel()
		got := shell{}.must(t, "prices", "show", "-o", "json", "--provider", "aws.bedrock", "--region", "us", "--service-tier", "batch",
			"--at", "2026-11-30T12:00:00Z", "claude-sonnet-5-5")
		var list priceList
		if err := json.Unmarshal([]byte(got), &list); err != nil || len(list.Prices) != 1 {
			t.Fatalf("got %s, %v", got, err)
		}
		p := list.Prices[0]
		want := listedRates{Input: "1.1", Output: "5.5", CacheRead: "0.055", CacheWrite: "1.375", CacheWrite1h: "2.2"}
		if p.Rates != want || p.Factor != "0.55" || p.For != "bedrock" || p.File != "makers/anthropic.yaml" || p.Source == "" || p.Date == "" {
			t.Errorf("want %+v, got %+v", want, p)
		}
	})
	t.Run("self-hosted", func(t *testing.T) {
		t.Parallel()
		if got := (shell{}).must(t, "prices", "show", "-o", "json", "--provider", "vllm", "llama-9"); !strings.Contains(got, `"input":"0"`) && !strings.Contains(got, `"input": "0"`) {
			t.Errorf("got %s", got)
		}
		shell{}.run(t.Context(), "prices", "show", "--provider", "vllm", "--self-hosted-models", "unpriced", "llama-9").check(t, exitFailed, "",
			"watchbill: llama-9: has no price: no pattern matches it\n")
	})
	t.Run("every dimension", func(t *testing.T) {
		t.Parallel()
		file := priceFile(t, `version: x
currency: USD
models: [{match: [m], provider: [a, b], elsewhere: unnamed, input: 1, output: 2, service_tiers: {batch: 0.5, fast: {input: 3, output: 6}}, hours: [{days: [sun, sat], from: "01:30", until: "24:00", factor: 2}, {input: 7, output: 8}]}]
`)
		var list priceList
		if err := json.Unmarshal([]byte(shell{}.must(t, "prices", "show", "--file", file, "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		want := listedPrice{
			Match: []string{"m"}, Provider: "a, b", Elsewhere: "unnamed", Version: "x", Line: 3,
			Rates: listedRates{Input: "1", Output: "2", CacheRead: "1", CacheWrite: "1"},
			ServiceTiers: []listedTier{
				{Name: "batch", Factor: "0.5"},
				{Name: "fast", Rates: &listedRates{Input: "3", Output: "6", CacheRead: "3", CacheWrite: "3"}},
			},
			Hours: []listedHours{
				{Days: []string{"sun", "sat"}, From: "01:30", Until: "24:00", Factor: "2"},
				{
					Days: []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, From: "00:00", Until: "24:00",
					Rates: &listedRates{Input: "7", Output: "8", CacheRead: "7", CacheWrite: "7"},
				},
			},
		}
		if diff := cmp.Diff(want, list.Prices[0]); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		got := shell{}.must(t, "prices", "show")
		if lines := strings.Count(got, "\n"); !strings.HasPrefix(got, "MODELS ") || lines <= len(prices.Default().Models()) {
			t.Errorf("got %d lines:\n%s", lines, got)
		}
	})
	t.Run("a bad file", func(t *testing.T) {
		t.Parallel()
		bad := priceFile(t, "[")
		shell{}.run(t.Context(), "prices", "show", "--file", bad).check(t, exitFailed, "", bad+":1: file: is not YAML: did not find expected node content\n")
	})
	for args, want := range map[string]string{
		"prices show -o yaml --provider x": "watchbill: --format: must be table or json, not \"yaml\"\nwatchbill: --provider: needs the name of a model as an argument\n",
		"prices show --region eu --at noon --self-hosted-models dear": "watchbill: --region: needs the name of a model as an argument\nwatchbill: --at: needs the name of a model as an argument\n" +
			"watchbill: --self-hosted-models: must be free or unpriced, not \"dear\"\nwatchbill: --at: must be a time such as 2006-01-02T15:04:05Z, not \"noon\"\n",
		"prices check":                "watchbill: an argument is missing; usage: watchbill prices check FILE [flags]\n",
		"prices dump":                 "watchbill: unknown command \"dump\" for \"watchbill prices\"; commands: check, reprice, show\n",
		"prices show --file /no/such": "watchbill: --file: open /no/such: no such file or directory\n",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			shell{}.run(t.Context(), strings.Fields(args)...).check(t, exitUsage, "", want)
		})
	}
}

func TestPricesHelp(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"check", "show"} {
		if got := (shell{}).must(t, "prices", command, "--help"); !strings.Contains(got, "\nExamples:\n  ") {
			t.Errorf("prices %s --help:\n%s", command, got)
		}
	}
}
