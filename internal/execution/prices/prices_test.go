package prices_test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

// table parses entries of a file.
func table(t testing.TB, version, models string) *prices.List {
	t.Helper()
	p, err := prices.Parse([]byte("version: " + version + "\ncurrency: USD\nmodels:\n" + models))
	if err != nil {
		t.Fatalf("%v in\n%s", err, models)
	}
	return p
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestCost(t *testing.T) {
	t.Parallel()
	p := table(t, "x", `
  - {match: [plain], input: 2.50, output: "10.00"}
  - {match: [cached], input: 2.5, output: 10, cache_read: 1.25, cache_write: 3.125}
  - {match: [small], input: 0.0004, output: 0.0004}
  - {match: [odd], input: 0.0375, output: 0.000001}
  - {match: [tiered], input: 1.25, output: 10, cache_read: 0.125, tiers: [{above_input_tokens: 200000, input: 2.5, output: 15, cache_read: 0.25}, {above_input_tokens: 500000, input: 5, output: 20}]}
  - {match: [free], input: 0, output: 0}
  - {match: [dear], input: 100000, output: 100000}
`)
	for _, tt := range []struct {
		name   string
		model  string
		tokens execution.Tokens
		want   int64 // nano-USD; negative: no price
	}{
		{"input and output", "plain", execution.Tokens{Input: 1000, Output: 200}, 2_500_000 + 2_000_000},
		{"reasoning is part of output", "plain", execution.Tokens{Input: 1000, Output: 200, Reasoning: 150}, 4_500_000},
		{"a cache without a price costs what input costs", "plain", execution.Tokens{Input: 1000, CacheRead: 300, CacheWrite: 200}, 2_500_000},
		{"600 × 2.50 + 400 × 1.25 + 200 × 10", "cached", execution.Tokens{Input: 1000, CacheRead: 400, Output: 200}, 4_000_000},
		{"100 × 2.50 + 400 × 1.25 + 500 × 3.125", "cached", execution.Tokens{Input: 1000, CacheRead: 400, CacheWrite: 500}, 2_312_500},
		{"all from the cache", "cached", execution.Tokens{Input: 8, CacheRead: 8}, 10_000},
		{"more cached than there is, which Check refuses", "cached", execution.Tokens{Input: 1, CacheRead: 8}, 10_000},
		{"negative, which Check refuses", "plain", execution.Tokens{Input: -5, Output: 1}, 10_000},
		{"0.4 is nothing", "small", execution.Tokens{Input: 1}, 0},
		{"0.4 + 0.4 is one: rounded once", "small", execution.Tokens{Input: 1, Output: 1}, 1},
		{"37.5 is 38", "odd", execution.Tokens{Input: 1}, 38},
		{"75 is 75", "odd", execution.Tokens{Input: 2}, 75},
		{"112.5 is 113", "odd", execution.Tokens{Input: 3}, 113},
		{"499 millionths of one are nothing", "odd", execution.Tokens{Output: 499}, 0},
		{"500 are one half, so one", "odd", execution.Tokens{Output: 500}, 1},
		{"up to the tier", "tiered", execution.Tokens{Input: 200_000, Output: 100}, 250_000_000 + 1_000_000},
		{"the whole request is billed at the tier", "tiered", execution.Tokens{Input: 200_001, Output: 100}, 500_002_500 + 1_500_000},
		{"cached tokens reach the tier too", "tiered", execution.Tokens{Input: 200_001, CacheRead: 200_000}, 2_500 + 50_000_000},
		{"the highest tier, whose cache costs what its input costs", "tiered", execution.Tokens{Input: 600_000, CacheRead: 100_000, Output: 1}, 3_000_000_000 + 20_000},
		{"output does not reach the tier", "tiered", execution.Tokens{Input: 1, Output: 300_000}, 1_250 + 3_000_000_000},
		{"free is a price", "free", execution.Tokens{Input: 10, Output: 10}, 0},
		{"as much as there can be", "dear", execution.Tokens{Input: execution.MaxTokens, Output: execution.MaxTokens}, 200_000_000_000_000_000},
		{"more than an int64 holds", "dear", execution.Tokens{Input: math.MaxInt64, CacheRead: math.MaxInt64, CacheWrite: math.MaxInt64, Output: math.MaxInt64}, math.MaxInt64},
		{"only a total", "plain", execution.Tokens{Used: 100}, -1},
		{"no tokens", "plain", execution.Tokens{}, -1},
		{"another model", "plainer", execution.Tokens{Input: 1}, -1},
		{"no model", "", execution.Tokens{Input: 1}, -1},
		{"a name that is too long", strings.Repeat("x", 1<<20), execution.Tokens{Input: 1}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := execution.Execution{Model: tt.model, Tokens: tt.tokens, CreatedAt: moment(t, "2026-01-01T00:00:00Z")}
			got, ok := p.Cost(&e)
			if !ok {
				got = -1
			}
			if got != tt.want {
				t.Errorf("want %d, got %d", tt.want, got)
			}
		})
	}
}

func TestPricesInTime(t *testing.T) {
	t.Parallel()
	p := table(t, "x", `
  - {match: [a], until: 2026-03-13, input: 1, output: 1}
  - {match: [a], from: 2026-03-13, until: 2026-04-01T12:00:00+02:00, input: 2, output: 2}
  - {match: [a], from: 2026-05-01, input: 3, output: 3}
  - {match: ["*"], input: 9, output: 9}
`)
	for _, tt := range []struct {
		at   string
		want int64 // nano-USD of one token; negative: no price
	}{
		{"1970-01-01T00:00:00Z", 1000},
		{"2026-03-12T23:59:59.999999Z", 1000},
		{"2026-03-13T00:00:00Z", 2000},
		{"2026-03-13T01:00:00+02:00", 1000}, // the day before in UTC
		{"2026-04-01T09:59:59.999999Z", 2000},
		{"2026-04-01T10:00:00Z", -1}, // a gap means no price, not that of a less specific pattern
		{"2026-04-30T23:59:59Z", -1},
		{"2026-05-01T00:00:00Z", 3000},
		{"9999-12-31T23:59:59Z", 3000},
	} {
		got, ok := p.Cost(&execution.Execution{Model: "a", Tokens: execution.Tokens{Input: 1}, CreatedAt: moment(t, tt.at)})
		if !ok {
			got = -1
		}
		if got != tt.want {
			t.Errorf("%s: want %d, got %d", tt.at, tt.want, got)
		}
	}
}

func TestPrice(t *testing.T) {
	t.Parallel()
	p := table(t, "v1", "  - {match: [a], input: 1, output: 2}")
	e := execution.Execution{Model: "a", Tokens: execution.Tokens{Input: 3, Output: 1}}
	p.Price(&e)
	if e.Cost == nil || *e.Cost != 5000 || e.PriceVersion != "v1" {
		t.Errorf("want 5000 by v1, got %v by %q", e.Cost, e.PriceVersion)
	}
	e.Model = "b"
	p.Price(&e)
	if e.Cost != nil || e.PriceVersion != "v1" {
		t.Errorf("want no price, looked for in v1, got %v in %q", e.Cost, e.PriceVersion)
	}
}

func TestOverlay(t *testing.T) {
	t.Parallel()
	base := table(t, "shipped", `
  - {match: [a], input: 1, output: 1}
  - {match: [b], input: 2, output: 2}
  - {match: [c], input: 3, output: 3}`)
	over := table(t, "ours", `
  - {match: ["b*"], input: 20, output: 20}
  - {match: [c], from: 2026-02-01, input: 30, output: 30}
  - {match: [d], provider: Azure, input: 40, output: 40}`)
	p := prices.Overlay(base, over)
	if p.Version() != "ours+shipped" {
		t.Errorf("got version %q", p.Version())
	}
	for _, tt := range []struct {
		model, provider, at string
		want                string // USD per million tokens, and the table
	}{
		{"a", "", "2026-01-01T00:00:00Z", "1 shipped"},
		{"b", "", "2026-01-01T00:00:00Z", "20 ours"}, // a glob of the upper table takes precedence over a name of the lower
		{"bb", "", "2026-01-01T00:00:00Z", "20 ours"},
		{"c", "", "2026-01-31T23:59:59Z", "3 shipped"}, // not yet in force
		{"c", "", "2026-02-01T00:00:00Z", "30 ours"},
		{"d", "", "2026-01-01T00:00:00Z", "none"},
		{"d", "azure", "2026-01-01T00:00:00Z", "40 ours"},
		{"d", "AZURE", "2026-01-01T00:00:00Z", "40 ours"},
	} {
		got := "none"
		if found, ok := p.Find(prices.Query{Model: tt.model, Provider: tt.provider, At: moment(t, tt.at)}); ok && found.Price != nil {
			got = found.Price.Input.String() + " " + found.Version
		}
		if got != tt.want {
			t.Errorf("%s of %q at %s: want %s, got %s", tt.model, tt.provider, tt.at, tt.want, got)
		}
	}
	if got := len(p.Models()); got != 6 {
		t.Errorf("want 6 prices, got %d", got)
	}
	found, ok := over.Find(prices.Query{Model: "c", Provider: "", At: moment(t, "2026-01-01T00:00:00Z")})
	if want := (prices.Found{Pattern: "c", Version: "ours"}); !ok || !cmp.Equal(found, want) {
		t.Errorf("want %+v, got %+v, %v", want, found, ok)
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	base := table(t, "shipped", `
  - {match: [gpt-4o, gpt-4o-mini], input: 1, output: 1}
  - {match: ["claude-*"], input: 1, output: 1}
  - {match: [only-groq], provider: groq, input: 1, output: 1}
  - {match: [untouched], input: 1, output: 1}`)
	over := table(t, "ours", `
  - {match: ["gpt-4o*"], input: 2, output: 2}
  - {match: [claude-opus-5], input: 2, output: 2}
  - {match: [new], input: 2, output: 2}
  - {match: [gpt-4o], provider: azure, input: 2, output: 2}
  - {match: [only-groq], provider: azure, input: 2, output: 2}`)
	got := map[int][]string{}
	for _, o := range prices.Overrides(base, over) {
		got[o.Price.Line] = o.Of
	}
	want := map[int][]string{5: {"gpt-4o", "gpt-4o-mini"}, 6: {"claude-*"}, 8: {"gpt-4o"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("by line (-want +got)\n%s", diff)
	}
}

// TestShippedPrices looks up some names as they are reported.
func TestShippedPrices(t *testing.T) {
	t.Parallel()
	p := prices.Default()
	if p.Version() == "" || len(p.Models()) < 100 {
		t.Fatalf("got %d prices of version %q", len(p.Models()), p.Version())
	}
	now := moment(t, "2026-11-25T12:00:00Z")
	for _, m := range p.Models() {
		if m.Input > 1000e6 || m.Output > 1000e6 || m.CacheRead > m.Input || m.CacheWrite > 2*m.Input || m.Output != 0 && m.Output < m.Input && !strings.Contains(m.Match[0], "image") && !strings.Contains(m.Match[0], "guard") {
			t.Errorf("line %d: %v has prices that are hard to believe: %v", m.Line, m.Match, m.Rates)
		}
		for _, tier := range m.Tiers {
			if tier.Input < m.Input || tier.Output < m.Output || tier.CacheRead < m.CacheRead {
				t.Errorf("line %d: %v costs less above %d tokens", m.Line, m.Match, tier.Above)
			}
		}
		for _, pattern := range m.Match {
			if _, ok := p.Find(prices.Query{Model: pattern, Provider: "", At: now}); !ok && len(m.Providers) == 0 {
				t.Errorf("line %d: %s does not find itself", m.Line, pattern)
			}
		}
	}
	for name, want := range map[string]string{ // input/output
		"gpt-4o":                                          "2.5/10",
		"gpt-4o-2024-08-06":                               "2.5/10",
		"gpt-4o-2024-05-13":                               "5/15",
		"gpt-4o-mini":                                     "0.15/0.6",
		"gpt-4o-mini-2024-07-18":                          "0.15/0.6",
		"openai/gpt-4o-mini":                              "0.15/0.6",
		"azure/gpt-4.1-2025-04-14":                        "2/8",
		"GPT-4o":                                          "2.5/10",
		"gpt-4-0613":                                      "30/60",
		"gpt-4-1106-preview":                              "10/30",
		"gpt-4-turbo-2024-04-09":                          "10/30",
		"gpt-5-2025-08-07":                                "1.25/10",
		"gpt-5.1-chat-latest":                             "1.25/10",
		"o3-mini-2025-01-31":                              "1.1/4.4",
		"text-embedding-ada-002":                          "0.1/0",
		"claude-sonnet-4-5-20250929":                      "3/15",
		"claude-sonnet-4-20250514":                        "3/15",
		"claude-opus-4-1-20250805":                        "15/75",
		"claude-opus-4-5-20251101":                        "5/25",
		"claude-3-5-sonnet-latest":                        "3/15",
		"claude-3-5-sonnet-v2@20241022":                   "3/15",
		"anthropic/claude-3.5-haiku":                      "0.8/4",
		"claude-haiku-4-5@20251001":                       "1/5",
		"anthropic.claude-opus-4-6-v1":                    "5.5/27.5",
		"us.anthropic.claude-opus-4-6-v1":                 "5.5/27.5",
		"us.meta.llama3-3-70b-instruct-v1:0":              "0.72/0.72",
		"anthropic.claude-3-5-sonnet-20241022-v2:0":       "3/15",
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0":    "3.3/16.5",
		"us.anthropic.claude-3-haiku-20240307-v1:0":       "0.25/1.25",
		"global.anthropic.claude-haiku-4-5-20251001-v1:0": "1/5",
		"us-gov.amazon.nova-pro-v1:0":                     "0.96/3.84",
		"arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0": "0.035/0.14",
		"models/gemini-2.5-pro-preview-05-06":                                "1.25/10",
		"publishers/google/models/gemini-2.0-flash-001":                      "0.1/0.4",
		"gemini-2.5-flash-preview-09-2025":                                   "0.3/2.5",
		"gemini-2.5-flash-lite":                                              "0.1/0.4",
		"gemini-1.5-flash-8b-001":                                            "0.0375/0.15",
		"gemini-embedding-001":                                               "0.15/0",
		"mistral-large-2411":                                                 "2/6",
		"mistral-large-2512":                                                 "0.5/1.5",
		"mistral-large-latest":                                               "0.5/1.5",
		"grok-4-0709":                                                        "3/15",
		"command-r-plus-08-2024":                                             "2.5/10",
		"command-a-03-2025":                                                  "2.5/10",

		// No price is better than that of another model.
		"gpt-4o-audio-preview":               "2.5/10",
		"gpt-4o-realtime-preview-2024-12-17": "5/20",
		"gpt-4oo":                            "none",
		"ft:gpt-4o-2024-08-06:acme::abc":     "3.75/15",
		"claude-sonnet-4-7":                  "none",
		"claude-opus":                        "none",
		"gemini-2.5-flash-preview-tts":       "0.5/10",
		"gemini-2.5-flash-image":             "0.3/2.5",
		"mistral-large-2701":                 "none",
		"deepseek/deepseek-chat-v3.1:free":   "0/0",
		"google/gemini-2.0-flash-exp:free":   "0/0",
		"llama-3.3-70b":                      "none",
		"o3/":                                "none",
		"/":                                  "none",
		"-latest":                            "none",
		"us.anthropic.":                      "none",
		"\xff\xfe":                           "none",
		strings.Repeat("-2024", 25):          "none",
		strings.Repeat("us.", 40) + "gpt-4o": "none",
	} {
		got := "none"
		if found, ok := p.Find(prices.Query{Model: name, Provider: "", At: now}); ok && found.Price != nil {
			got = fmt.Sprintf("%s/%s", found.Input, found.Output)
		}
		if got != want {
			t.Errorf("%s: want %s, got %s", name, want, got)
		}
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for rate, want := range map[prices.Rate]string{
		0: "0", 1: "0.000001", 37_500: "0.0375", 2_500_000: "2.5", 15_000_000: "15", 100_000_000_000: "100000", 1_000_001: "1.000001",
	} {
		if got := rate.String(); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}

// TestCostProperties: a cost is never negative, grows with its tokens, and equals the sum of its parts, except for
// rounding.
func TestCostProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := func(name string) string {
			return fmt.Sprintf("%s: %q", name, prices.Rate(rapid.Int64Range(0, 1e9).Draw(t, name)).String())
		}
		list, err := prices.Parse(fmt.Appendf(nil, "version: x\ncurrency: USD\nmodels: [{match: [m], %s, %s, %s, %s}]",
			rate("input"), rate("output"), rate("cache_read"), rate("cache_write")))
		if err != nil {
			t.Fatal(err)
		}
		cost := func(tokens execution.Tokens) int64 {
			nanos, ok := list.Cost(&execution.Execution{Model: "m", Tokens: tokens})
			if !ok {
				t.Fatalf("no cost of %+v", tokens)
			}
			return nanos
		}
		draw := func(name string) execution.Tokens {
			count := func(kind string) int64 { return rapid.Int64Range(0, 1e6).Draw(t, name+kind) }
			tokens := execution.Tokens{Output: 1 + count(" output"), CacheRead: count(" read"), CacheWrite: count(" write")}
			tokens.Input = tokens.CacheRead + tokens.CacheWrite + count(" fresh")
			return tokens
		}
		a, b := draw("a"), draw("b")
		both := a
		both.Add(b)
		costA, costB, costBoth := cost(a), cost(b), cost(both)
		if costA < 0 || costB < 0 || costBoth < max(costA, costB) {
			t.Fatalf("costs %d and %d, together %d", costA, costB, costBoth)
		}
		if apart := costA + costB - costBoth; apart < -1 || apart > 1 {
			t.Fatalf("costs %d and %d, together %d", costA, costB, costBoth)
		}
	})
}

// TestManyNames looks up more names than are cached, concurrently: the results stay the same.
func TestManyNames(t *testing.T) {
	t.Parallel()
	p := table(t, "x", `
  - {match: [known], input: 1, output: 1}
  - {match: ["made-up-*7"], input: 7, output: 7}`)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 12_000 {
				e := execution.Execution{Model: fmt.Sprintf("made-up-%d-%d", worker, i), Tokens: execution.Tokens{Input: 1}}
				got, ok := p.Cost(&e)
				if want := i%10 == 7; ok != want || ok && got != 7000 {
					t.Errorf("%s: got %d, %v", e.Model, got, ok)
				}
				if got, ok := p.Cost(&execution.Execution{Model: "known", Tokens: execution.Tokens{Input: 1}}); !ok || got != 1000 {
					t.Errorf("known: got %d, %v", got, ok)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCost(b *testing.B) {
	p := prices.Default()
	for name, model := range map[string]func(i int) string{
		"known":   func(int) string { return "claude-sonnet-4-5-20250929" },
		"made up": func(i int) string { return fmt.Sprintf("us.anthropic.claude-%d-20250929-v1:0", i) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				p.Cost(&execution.Execution{Model: model(i), Tokens: execution.Tokens{Input: 1000, Output: 100}})
			}
		})
	}
}
