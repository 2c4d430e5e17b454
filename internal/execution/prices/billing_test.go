package prices_test

import (
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

// TestBilling computes costs of executions with the shipped table.
func TestBilling(t *testing.T) {
	t.Parallel()
	p := prices.Default()
	const million = 1_000_000
	dollars := func(n float64) int64 { return int64(math.Round(n * 1e9)) }
	for _, tt := range []struct {
		name            string
		provider, model string
		at              string
		tokens          execution.Tokens
		billing         execution.Billing
		want            int64
	}{
		{"DeepSeek on a Sunday night", "deepseek", "deepseek-flash", "2026-11-29T23:00:00Z", execution.Tokens{Input: million, Output: million}, execution.Billing{}, dollars(0.15 + 0.60)},
		{"and in its peak hours on a Monday", "deepseek", "deepseek-flash", "2026-11-30T01:00:00Z", execution.Tokens{Input: million, Output: million}, execution.Billing{}, dollars(0.30 + 1.20)},
		{"until they end", "deepseek", "deepseek-flash", "2026-11-30T03:59:59.999999Z", execution.Tokens{Input: million, Output: million}, execution.Billing{}, dollars(0.30 + 1.20)},
		{"and between them", "deepseek", "deepseek-flash", "2026-11-30T04:00:00Z", execution.Tokens{Input: million, Output: million}, execution.Billing{}, dollars(0.15 + 0.60)},
		{"in the time of another zone", "deepseek", "deepseek-v4-pro", "2026-11-30T08:00:00+08:00", execution.Tokens{Input: million, Output: million}, execution.Billing{}, dollars(0.66 + 1.98)},
		{"a Saturday is off-peak", "deepseek", "deepseek-v4-pro", "2026-11-28T07:00:00Z", execution.Tokens{Input: million, CacheRead: million}, execution.Billing{}, dollars(0.022)},

		{
			"a cache write that is kept for an hour", "anthropic", "claude-sonnet-4-5", monday,
			execution.Tokens{Input: 30_000, CacheWrite: 20_000, CacheRead: 5_000, Output: 1_000},
			execution.Billing{CacheWrite1h: 15_000},
			dollars((5_000*3 + 5_000*0.3 + 5_000*3.75 + 15_000*6 + 1_000*15) / 1e6),
		},
		{
			"the same by a profile of Bedrock", "aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", monday,
			execution.Tokens{Input: 57_660, CacheRead: 35_574, CacheWrite: 17_787, Output: 631},
			execution.Billing{},
			109_708_995, // 4299 × 3.30 + 35574 × 0.33 + 17787 × 4.125 + 631 × 16.50
		},
		{"a batch", "anthropic", "claude-sonnet-4-5", monday, execution.Tokens{Input: 100_000, Output: 100_000}, execution.Billing{ServiceTier: "batch"}, dollars(0.1*1.5 + 0.1*7.5)},
		{"a batch in a region", "anthropic", "claude-sonnet-5-5", monday, execution.Tokens{Input: 100_000}, execution.Billing{ServiceTier: "batch", Region: "us"}, dollars(0.1 * 2 * 0.5 * 1.1)},
		{"flex", "openai", "gpt-5.6-sol", monday, execution.Tokens{Input: 100_000, Output: 100_000}, execution.Billing{ServiceTier: "flex"}, dollars(0.1*2 + 0.1*10)},
		{"priority", "openai", "gpt-5.6-sol", monday, execution.Tokens{Input: 100_000, Output: 100_000}, execution.Billing{ServiceTier: "priority"}, dollars(0.1*8 + 0.1*40)},
		{"priority that costs another factor", "openai", "gpt-4.1-2025-04-14", monday, execution.Tokens{Input: 100_000}, execution.Billing{ServiceTier: "Priority"}, dollars(0.1 * 2 * 1.75)},
		{"priority of a long request", "openai", "gpt-5.6-sol", monday, execution.Tokens{Input: 300_000}, execution.Billing{ServiceTier: "priority"}, dollars(0.3 * 16)},
		{"default is no tier", "openai", "gpt-5.6-sol", monday, execution.Tokens{Input: 100_000}, execution.Billing{ServiceTier: "default"}, dollars(0.1 * 4)},
		{"a tier that nobody priced costs the list price", "openai", "gpt-5.6-sol", monday, execution.Tokens{Input: 100_000}, execution.Billing{ServiceTier: "scale"}, dollars(0.1 * 4)},
		{"flex where no provider is named", "", "gpt-5.6-sol", monday, execution.Tokens{Input: 100_000, Output: 100_000}, execution.Billing{ServiceTier: "flex"}, dollars(0.1*2 + 0.1*10)},
		{"a batch of Gemini where none is", "", "gemini-2.5-flash", monday, execution.Tokens{Input: million}, execution.Billing{ServiceTier: "batch"}, dollars(0.15)},
		{"a batch by a gateway", "acme-gateway", "grok-4.7", monday, execution.Tokens{Input: 100_000}, execution.Billing{ServiceTier: "batch"}, dollars(0.1 * 2 * 0.8)},
		{"priority at another host, which OpenAI does not price", "openrouter", "openai/gpt-5.6-sol", monday, execution.Tokens{Input: 100_000}, execution.Billing{ServiceTier: "priority"}, dollars(0.1 * 4)},
		{"as Vertex AI writes it", "vertex_ai", "gemini-2.5-flash", monday, execution.Tokens{Input: million}, execution.Billing{ServiceTier: "on_demand_priority"}, dollars(0.3 * 1.8)},
		{
			"audio", "openai", "gpt-audio", monday,
			execution.Tokens{Input: 1_000, Output: 500},
			execution.Billing{AudioInput: 800, AudioOutput: 400},
			dollars((200*2.5 + 800*32 + 100*10 + 400*64) / 1e6),
		},
		{
			"cached audio", "openai", "gpt-realtime-mini", monday,
			execution.Tokens{Input: 1_000, CacheRead: 400, Output: 10},
			execution.Billing{AudioInput: 900, AudioCacheRead: 300},
			dollars((600*10 + 100*0.06 + 300*0.3 + 10*2.4) / 1e6),
		},
		{"an image", "google", "gemini-2.5-flash-image", monday, execution.Tokens{Input: 100, Output: 1_310}, execution.Billing{ImageOutput: 1_290}, dollars((100*0.3 + 20*2.5 + 1_290*30) / 1e6)},
		{"more parts than there are", "openai", "gpt-audio", monday, execution.Tokens{Input: 10, Output: 10}, execution.Billing{AudioInput: 1 << 60, ImageInput: 5, AudioOutput: -3}, dollars((10*32 + 10*10) / 1e6)},

		{"xAI's tier begins at 200,000 tokens", "xai", "grok-4.7", monday, execution.Tokens{Input: 200_000}, execution.Billing{}, dollars(0.2 * 4)},
		{"and not below", "xai", "grok-4.7", monday, execution.Tokens{Input: 199_999}, execution.Billing{}, 399_998_000},
		{"OpenAI's above 272,000", "openai", "gpt-5.6-sol", monday, execution.Tokens{Input: 272_000}, execution.Billing{}, dollars(0.272 * 4)},

		{"vLLM", "vllm", "deepseek-ai/DeepSeek-V4-Flash", monday, execution.Tokens{Input: million, Output: million}, execution.Billing{}, 0},
		{"an unknown host of an open model", "acme", "deepseek-v4-flash", monday, execution.Tokens{Input: million}, execution.Billing{}, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := execution.Execution{Provider: tt.provider, Model: tt.model, CreatedAt: moment(t, tt.at), Tokens: tt.tokens, Billing: tt.billing}
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

// TestModelSpecificDimensions: a user's file can contain all that shipped ones can.
func TestModelSpecificDimensions(t *testing.T) {
	t.Parallel()
	p, err := prices.Parse([]byte(`
version: acme
currency: USD
date: 2026-11-01
defaults: {provider: [acme, acme-eu], elsewhere: unnamed, source: the contract}
self_hosted: [our-gpus]
factors:
  - {region: ["eu-*"], except: [small], factor: 1.25}
  - {provider: acme, service_tier: batch, factor: 0.4}
models:
  - match: [large]
    input: 10
    output: 20
    cache_write: 12
    cache_write_1h: 18
    tiers: [{from_input_tokens: 1000, input: 20, output: 40, cache_write: 24, cache_write_1h: 36}]
    service_tiers:
      priority: {input: 100, output: 200, tiers: [{above_input_tokens: 1000, input: 1000, output: 2000}]}
      flex: 0.5
  - match: [small]
    input: 1
    output: 2
    hours:
      - {days: [sat, sun], input: 0.1, output: 0.2}
      - {from: "22:00", until: "24:00", factor: 0.5}
      - {until: "06:00", factor: 0.5}
  - {match: [alias], exact: true, input: 3, output: 3, provider: acme, source: a letter, date: 2026-11-02}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		provider, model, at string
		input, write, hour  int64
		billing             execution.Billing
		want                int64
	}{
		{"acme", "large", monday, 999, 0, 0, execution.Billing{}, 9_990_000},
		{"acme", "large", monday, 1000, 0, 0, execution.Billing{}, 20_000_000},
		{"acme", "large", monday, 100, 100, 40, execution.Billing{}, 60*12_000 + 40*18_000},
		{"", "large", monday, 100, 0, 0, execution.Billing{}, 1_000_000},
		{"other", "large", monday, 100, 0, 0, execution.Billing{}, -1},
		{"our-gpus", "large", monday, 100, 0, 0, execution.Billing{}, 0},
		{"acme", "large", monday, 100, 0, 0, execution.Billing{Region: "eu-1"}, 1_250_000},
		{"acme", "large", monday, 100, 0, 0, execution.Billing{Region: "us-1"}, 1_000_000},
		{"acme", "large", monday, 100, 0, 0, execution.Billing{ServiceTier: "batch", Region: "eu-1"}, 500_000},
		{"acme-eu", "large", monday, 100, 0, 0, execution.Billing{ServiceTier: "batch"}, 1_000_000},
		{"acme", "large", monday, 100, 0, 0, execution.Billing{ServiceTier: "priority"}, 10_000_000},
		{"acme", "large", monday, 2000, 0, 0, execution.Billing{ServiceTier: "priority"}, 2_000_000_000},
		{"acme", "large", monday, 2000, 0, 0, execution.Billing{ServiceTier: "flex"}, 20_000_000},
		{"acme", "small", monday, 100, 0, 0, execution.Billing{Region: "eu-1"}, 100_000},
		{"acme", "small", "2026-11-28T12:00:00Z", 100, 0, 0, execution.Billing{}, 10_000},
		{"acme", "small", "2026-11-30T22:00:00Z", 100, 0, 0, execution.Billing{}, 50_000},
		{"acme", "small", "2026-11-30T21:59:59Z", 100, 0, 0, execution.Billing{}, 100_000},
		{"acme", "small", "2026-11-30T05:59:59Z", 100, 0, 0, execution.Billing{}, 50_000},
		{"acme", "alias", monday, 1, 0, 0, execution.Billing{}, 3_000},
		{"acme", "alias-2026-01-01", monday, 1, 0, 0, execution.Billing{}, -1},
		{"", "alias", monday, 1, 0, 0, execution.Billing{}, -1}, // its own provider replaces the default
	} {
		tt.billing.CacheWrite1h = tt.hour
		e := execution.Execution{
			Provider: tt.provider, Model: tt.model, CreatedAt: moment(t, tt.at), Billing: tt.billing,
			Tokens: execution.Tokens{Input: tt.input, CacheWrite: tt.write},
		}
		got, ok := p.Cost(&e)
		if !ok {
			got = -1
		}
		if got != tt.want {
			t.Errorf("%d tokens of %s at %q on %s, %+v: want %d, got %d", tt.input, tt.model, tt.provider, tt.at, tt.billing, tt.want, got)
		}
	}
	m := p.Models()[2]
	if m.Source != "a letter" || m.Date != "2026-11-02" || p.Models()[0].Source != "the contract" || p.Models()[0].Date != "2026-11-01" {
		t.Errorf("got sources %q and %q of %s and %s", p.Models()[0].Source, m.Source, p.Models()[0].Date, m.Date)
	}
}

// TestFactorsAreExact: a cost is rounded once, half up, whatever it is multiplied by.
func TestFactorsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate, output := prices.Rate(rapid.Int64Range(0, 1e11).Draw(t, "input")), prices.Rate(rapid.Int64Range(0, 1e11).Draw(t, "output"))
		var f [3]prices.Factor
		for i := range f {
			f[i] = prices.Factor(rapid.Int64Range(1, 100_000).Draw(t, "factor"))
		}
		p, err := prices.Parse(fmt.Appendf(nil, `version: x
currency: USD
factors: [{region: [r], factor: %s}]
models: [{match: [m], input: %s, output: %s, service_tiers: {batch: %s}, hours: [{factor: %s}]}]`, f[0], rate, output, f[1], f[2]))
		if err != nil {
			t.Fatal(err)
		}
		e := execution.Execution{Model: "m", Billing: execution.Billing{Region: "r", ServiceTier: "batch"}}
		e.Tokens.Input, e.Tokens.Output = rapid.Int64Range(0, execution.MaxTokens).Draw(t, "in"), rapid.Int64Range(1, execution.MaxTokens).Draw(t, "out")
		want := new(big.Int).Add(
			new(big.Int).Mul(big.NewInt(e.Tokens.Input), big.NewInt(int64(rate))),
			new(big.Int).Mul(big.NewInt(e.Tokens.Output), big.NewInt(int64(output))))
		for _, factor := range f {
			want.Mul(want, big.NewInt(int64(factor)))
		}
		divisor := big.NewInt(1_000_000_000_000_000) // 1000 × 10000³
		want.Add(want, big.NewInt(500_000_000_000_000)).Div(want, divisor)
		if !want.IsInt64() {
			want.SetInt64(math.MaxInt64)
		}
		if got, ok := p.Cost(&e); !ok || got != want.Int64() {
			t.Fatalf("want %s, got %d", want, got)
		}
	})
}
