package prices_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution/prices"
)

// monday is a working day outside DeepSeek's peak hours.
const monday = "2026-11-30T12:00:00Z"

// shown formats the result of a query: input/output, or none.
func shown(p *prices.List, q prices.Query) string {
	found, ok := p.Find(q)
	if !ok || found.Price == nil {
		return "none"
	}
	return fmt.Sprintf("%s/%s", found.Input, found.Output)
}

// TestPriceSources: every shipped price has the source of its numbers and the date of the last check. hack/verify runs
// it.
func TestPriceSources(t *testing.T) {
	t.Parallel()
	for _, m := range prices.Default().Models() {
		if strings.TrimSpace(m.Source) == "" {
			t.Errorf("%s:%d: %v has no source", m.File, m.Line, m.Match)
		}
		if at, err := time.Parse(time.DateOnly, m.Date); err != nil || at.Year() < 2025 {
			t.Errorf("%s:%d: %v has no date, or one that is none: %q", m.File, m.Line, m.Match, m.Date)
		}
	}
}

// TestShippedPricesDoNotOverlap: files of one folder are searched together, so no two may have a price of the same name
// for the same provider and time.
func TestShippedPricesDoNotOverlap(t *testing.T) {
	t.Parallel()
	type key struct{ folder, provider, pattern string }
	seen := map[key][]prices.ModelPrice{}
	for _, m := range prices.Default().Models() {
		folder, _, _ := strings.Cut(m.File, "/")
		providers := m.Providers
		if m.Elsewhere != prices.Nowhere {
			providers = append([]string{"elsewhere"}, providers...)
		}
		for _, provider := range providers {
			for _, pattern := range m.Match {
				k := key{folder, provider, pattern}
				for _, other := range seen[k] {
					before := !other.Until.IsZero() && !m.From.Before(other.Until)
					after := !m.Until.IsZero() && !other.From.Before(m.Until)
					if !before && !after {
						t.Errorf("%s at %s: %s:%d and %s:%d", pattern, provider, other.File, other.Line, m.File, m.Line)
					}
				}
				seen[k] = append(seen[k], m)
			}
		}
	}
}

// TestSpellings: each of a model's names finds its price.
func TestSpellings(t *testing.T) {
	t.Parallel()
	p := prices.Default()
	for name, want := range map[string]string{
		// A provider and a slash or a colon before it.
		"openai:gpt-5.6-sol":                                   "4/20",
		"google-gla:gemini-2.5-flash":                          "0.3/2.5",
		"google-vertex:gemini-2.5-flash":                       "0.3/2.5",
		"anthropic:claude-opus-4-5":                            "5/25",
		"groq:llama-3.3-70b-versatile":                         "0.59/0.79",
		"bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0": "3.3/16.5",
		"gateway/openai:gpt-5":                                 "1.25/10",
		"openrouter:anthropic/claude-sonnet-4.5":               "3/15",
		"azure:gpt-4o":                                         "2.5/10",
		"openai/gpt-4o":                                        "2.5/10",
		"openrouter/anthropic/claude-opus-4.5":                 "5/25",
		"openrouter/openai/gpt-4o-mini":                        "0.15/0.6",
		"models/gemini-2.5-pro":                                "1.25/10",
		"publishers/google/models/gemini-2.0-flash-001":        "0.1/0.4",
		"vertex_ai/claude-3-5-haiku":                           "1/5",
		"accounts/fireworks/models/gpt-oss-120b":               "0.15/0.6",
		"groq/openai/gpt-oss-120b":                             "0.15/0.6",
		"perplexity/openai/gpt-5.3-codex":                      "3.5/28",
		"projects/p/locations/us-central1/publishers/google/models/gemini-2.5-pro":                 "1.25/10",
		"projects/p/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929":       "3/15",
		"projects/p/locations/europe-west1/publishers/anthropic/models/claude-sonnet-4-5@20250929": "3.3/16.5",

		// Dates and editions.
		"gpt-4o":                        "2.5/10",
		"GPT-4o-2024-08-06":             "2.5/10",
		"gpt-4o-2024-05-13":             "5/15",
		"gpt-4-0613":                    "30/60",
		"claude-haiku-4-5@20251001":     "1/5",
		"claude-3-5-sonnet-v2@20241022": "3/15",
		"text-embedding-ada-002-v2":     "0.1/0",
		"gpt-35-turbo-16k":              "3/4",
		"claude-3-5-sonnet-latest":      "3/15",
		"grok-4-latest":                 "3/15",
		"command-a-03-2025":             "2.5/10",
		"gemini-2.5-pro-preview-05-06":  "1.25/10",

		// Retired editions keep their own price.
		"gpt-3.5-turbo":             "0.5/1.5",
		"gpt-3.5-turbo-0301":        "1.5/2",
		"gpt-35-turbo-0301":         "1.5/2",
		"gpt-3.5-turbo-0613":        "1.5/2",
		"gpt-3.5-turbo-1106":        "1/2",
		"gpt-4-vision-preview":      "10/30",
		"gpt-4-1106-vision-preview": "10/30",
		"gpt-4-32k-0314":            "60/120",
		"command-r":                 "0.15/0.6",
		"open-mixtral-8x22b":        "2/6",
		"deepseek-chat":             "none", // out of service by then

		// Listed aliases.
		"gemini-flash-latest":      "0.75/3.75",
		"gemini-flash-lite-latest": "0.3/2.5",
		"gemini-pro-latest":        "2/12",
		"chat-latest":              "5/30",
		"ministral-8b-latest":      "0.15/0.15",
		"devstral-medium-latest":   "0.4/2",
		"devstral-small-latest":    "0.1/0.3",
		"magistral-medium-latest":  "2/5",
		"mistral-medium":           "1.5/7.5",
		"mistral-small-2503":       "0.1/0.3",
		"mistral-medium-2709":      "none", // not that of another generation

		// Routing and effort of reasoning.
		"meta-llama/llama-3.3-70b-instruct:free": "0/0",
		"deepseek/deepseek-chat-v3.1:free":       "0/0",
		"anthropic/claude-3.7-sonnet:thinking":   "3/15",
		"anthropic/claude-sonnet-4.5:beta":       "3/15",
		"openai/gpt-4o:online":                   "2.5/10",
		"openai/gpt-4o:extended":                 "6/18",
		"claude-opus-4-5-thinking":               "5/25",
		"gpt-5.6-sol-high":                       "4/20",
		"o3-mini-high":                           "1.1/4.4",
		"gpt-5.1-codex-max":                      "1.25/10", // a model, not an effort

		// Fine-tuned models never have the price of their base.
		"ft:gpt-4o-mini-2024-07-18:acme::abc":                        "0.3/1.2",
		"ft:gpt-4.1-2025-04-14:acme:x:abc":                           "3/12",
		"openai/ft:gpt-4o-2024-08-06:acme::abc":                      "3.75/15",
		"gpt-4o-mini-2024-07-18.ft-0e208cf33a6a466994aff31a08aba678": "0.3/1.2",
		"ft:gpt-9:acme::1":                                           "none",
		"ft:claude-opus-4-5:acme::1":                                 "none",

		// ARNs.
		"arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0": "3.3/16.5",
		"arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0":                                    "0.035/0.14",
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456":                     "none",
		"my-deployment": "none",
	} {
		if got := shown(p, prices.Query{Model: name, At: moment(t, monday)}); got != want {
			t.Errorf("%s: want %s, got %s", name, want, got)
		}
	}
}

// TestHosts: the host's price applies, not the maker's.
func TestHosts(t *testing.T) {
	t.Parallel()
	p := prices.Default()
	for _, tt := range []struct{ provider, model, want string }{
		{"", "deepseek-v4-flash", "0.15/0.6"}, // no provider: the maker
		{"deepseek", "deepseek-v4-flash", "0.15/0.6"},
		{"DeepSeek.chat", "deepseek-v4-flash", "0.15/0.6"},
		{"openai", "deepseek-v4-flash", "0.15/0.6"},         // the maker's service has this protocol
		{"openai", "deepseek-ai/DeepSeek-V4-Flash", "none"}, // a name used by hosts
		{"my-gateway", "deepseek-v4-flash", "none"},         // it may be any host
		{"together_ai", "deepseek-ai/DeepSeek-V4-Flash", "0.14/0.28"},
		{"together", "deepseek-ai/DeepSeek-V4-Flash", "0.14/0.28"},
		{"deepinfra", "deepseek-ai/DeepSeek-V4-Flash", "0.09/0.18"},
		{"azure_ai", "deepseek-v4-pro", "1.74/3.48"},
		{"az.ai.inference", "deepseek-v4-pro", "none"}, // an unknown provider
		{"dashscope", "deepseek-v4-pro", "2.4/4.8"},
		{"replicate", "deepseek-v4-flash", "none"},

		{"vllm", "deepseek-v4-flash", "0/0"},
		{"vllm", "gpt-4o", "0/0"},
		{"ollama_chat", "codestral-2508", "0/0"},
		{"", "ollama/codestral-2508", "0/0"},
		{"lm-studio", "qwen3-8b", "0/0"},

		{"my-gateway", "gpt-4o", "2.5/10"}, // only its maker and resellers have this model
		{"litellm", "claude-sonnet-4-5", "3/15"},
		{"openai", "claude-sonnet-4-5", "3/15"},
		{"github_copilot", "gpt-4o", "none"}, // billed per seat
		{"oci", "google.gemini-2.5-flash", "none"},
		{"oci_genai", "cohere.command-a-03-2025", "none"},
		{"perplexity", "openai/gpt-5.3-codex", "3.5/28"},
		{"anthropic", "gpt-4o", "none"},

		{"azure.ai.openai", "gpt-4o-2024-08-06", "2.5/10"},
		{"azure_openai", "gpt-4o", "2.5/10"},
		{"aws.bedrock", "amazon.nova-pro-v1:0", "0.8/3.2"},
		{"amazon-bedrock", "eu.amazon.nova-pro-v1:0", "1.05/4.2"},
		{"gcp.vertex_ai", "gemini-2.5-flash", "0.3/2.5"},
		{"x_ai", "grok-4.7", "2/6"},
		{"xai.chat", "grok-4.7", "2/6"},
		{"mistral_ai", "mistral-large-2512", "0.5/1.5"},
		{"moonshotai", "kimi-k3", "3/15"},
		{"z.ai", "glm-5.3", "1.4/4.4"},
		{"groq", "openai/gpt-oss-120b", "0.15/0.6"},
		{"openai.responses", "gpt-5.6-sol", "4/20"},
		{"google.generative-ai", "gemini-2.5-flash", "0.3/2.5"},
	} {
		if got := shown(p, prices.Query{Model: tt.model, Provider: tt.provider, At: moment(t, monday)}); got != tt.want {
			t.Errorf("%s of %q: want %s, got %s", tt.model, tt.provider, tt.want, got)
		}
	}
	unpriced := p.SelfHosted(false)
	if got := shown(unpriced, prices.Query{Model: "gpt-4o", Provider: "vllm"}); got != "none" {
		t.Errorf("self-hosted and unpriced: got %s", got)
	}
	own := table(t, "ours", "  - {match: [llama], provider: vllm, input: 1, output: 2}\n")
	both := prices.Overlay(p, own)
	if got := shown(both, prices.Query{Model: "llama", Provider: "vllm"}); got != "1/2" {
		t.Errorf("a self-hosted model with a price of one's own: got %s", got)
	}
}

// TestRegions: regions multiply prices by rule, so that new models need no entry for each.
func TestRegions(t *testing.T) {
	t.Parallel()
	p := prices.Default()
	old := []string{"claude-3", "claude-v", "claude-2", "claude-instant", "claude-opus-4-1", "claude-opus-4-0", "claude-sonnet-4-0", "claude-mythos-preview"}
	claudes := 0
	for _, m := range p.Models() {
		for _, name := range m.Match {
			if !strings.HasPrefix(name, "claude-") || strings.ContainsAny(name, ".:@*") || m.File != "makers/anthropic.yaml" || name == "claude-opus-4" || name == "claude-sonnet-4" {
				continue
			}
			early := false
			for _, prefix := range old {
				early = early || strings.HasPrefix(name, prefix)
			}
			at := m.From
			if at.IsZero() {
				at = moment(t, "2026-01-01T00:00:00Z")
			}
			if !m.Until.IsZero() && !at.Before(m.Until) {
				continue
			}
			claudes++
			for profile, thousandths := range map[string]prices.Rate{
				"global": 1000, "us": 1100, "eu": 1100, "jp": 1100, "au": 1100, "apac": 1100, "us-gov": 1200, "": 1100, "xx": 1100,
			} {
				model := "anthropic." + name + "-v1:0"
				if profile != "" {
					model = profile + "." + model
				}
				if profile == "xx" { // only the host includes its region
					model = "bedrock/ap-south-7/anthropic." + name
				}
				want := m.Input * thousandths / 1000
				if early {
					want = m.Input
					if profile == "us-gov" {
						want = m.Input * 12 / 10
					}
				}
				found, ok := p.Find(prices.Query{Model: model, At: at})
				if !ok || found.Input != want {
					t.Errorf("%s: want %s, got %s", model, want, found.Input)
				}
			}
		}
	}
	if claudes < 20 {
		t.Errorf("only %d names of Claude were tried", claudes)
	}
	for _, tt := range []struct{ provider, model, region, want string }{
		{"", "us.anthropic.claude-3-haiku-20240307-v1:0", "", "0.25/1.25"}, // before regional prices existed
		{"", "apac.anthropic.claude-sonnet-4-20250514-v1:0", "", "3/15"},
		{"", "us.openai.gpt-6.1-sol", "", "2.2/11"},
		{"", "global.openai.gpt-6.1-sol", "", "2/10"},
		{"", "us-gov.xai.grok-4.6", "", "2.64/7.92"},
		{"", "eu.amazon.nova-2-lite-v1:0", "", "0.429/3.597"}, // an exception with its own price
		{"", "jp.amazon.nova-2-lite-v1:0", "", "0.396/3.311"},
		{"", "azure/eu/gpt-4o-2024-08-06", "", "2.75/11"},
		{"azure", "us/gpt-5.4", "", "2.75/16.5"},
		{"azure", "gpt-5.4", "eu", "2.75/16.5"},
		{"", "azure/us-gov/gpt-5.1", "", "1.71875/13.75"},
		// The response's name lacks the profile that the request's has.
		{"aws.bedrock", "claude-sonnet-4-5-20250929", "us", "3.3/16.5"},
		{"aws.bedrock", "claude-sonnet-4-5-20250929", "global", "3/15"},
		{"aws.bedrock", "nova-2-lite-v1:0", "eu", "0.429/3.597"},
		{"aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-east-1", "3/15"}, // the profile applies
		{"aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", "us-gov-west-1", "3.6/18"},
		{"anthropic", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "", "3.3/16.5"}, // Anthropic's client for Bedrock
		{"anthropic", "claude-sonnet-5-5", "us", "2.2/11"},
		{"anthropic", "claude-sonnet-4-5", "us", "3/15"},
		{"openai", "gpt-5.6-sol", "eu", "4.4/22"},
		{"openai", "gpt-4o", "eu", "2.5/10"},
		{"vertex_ai", "claude-sonnet-4-5@20250929", "europe-west1", "3.3/16.5"},
		{"vertex_ai", "claude-sonnet-4-5@20250929", "global", "3/15"},
	} {
		q := prices.Query{Model: tt.model, Provider: tt.provider, Region: tt.region, At: moment(t, monday)}
		if got := shown(p, q); got != tt.want {
			t.Errorf("%s of %q in %q: want %s, got %s", tt.model, tt.provider, tt.region, tt.want, got)
		}
	}
}

func TestRegionOf(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]string{
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0":                      "us",
		"global.anthropic.claude-sonnet-5-5":                                "global",
		"us-gov.xai.grok-4.6":                                               "us-gov",
		"anthropic.claude-sonnet-5-5":                                       prices.InRegion,
		"amazon.nova-pro-v1:0":                                              prices.InRegion,
		"bedrock/us-gov-west-1/anthropic.claude-opus-5":                     "us-gov-west-1",
		"azure/eu/gpt-4o":                                                   "eu",
		"projects/p/locations/europe-west1/publishers/x":                    "europe-west1",
		"arn:aws:bedrock:eu-west-1::foundation-model/amazon.nova-lite-v1:0": "eu-west-1",
		"arn:aws:bedrock:us-east-1:1:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0": "eu",
		"gpt-4o":        "",
		"gpt-4.1":       "",
		"qwen3.8-max":   "",
		"kimi-k2.6":     "",
		"openai/gpt-4o": "",
		"":              "",
		"us.":           "",
		strings.Repeat("us.", 100) + "anthropic.claude-3": "",
	} {
		if got := prices.RegionOf(model); got != want {
			t.Errorf("%s: want %q, got %q", model, want, got)
		}
	}
}
