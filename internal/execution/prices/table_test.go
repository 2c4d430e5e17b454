package prices_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution/prices"
)

// TestMostSpecificPattern looks up one table, whose prices are the names of the patterns.
func TestMostSpecificPattern(t *testing.T) {
	t.Parallel()
	p := table(t, "x", `
  - {match: ["*"], input: 1, output: 1}
  - {match: ["gpt-*"], input: 1, output: 1}
  - {match: ["gpt-4o*"], input: 1, output: 1}
  - {match: ["*-mini"], input: 1, output: 1}
  - {match: [gpt-4o], input: 1, output: 1}
  - {match: [gpt-4o-2024-05-13], input: 1, output: 1}
  - {match: ["azure/*"], input: 1, output: 1}
  - {match: [azure/gpt-4], input: 1, output: 1}
  - {match: ["a*z", "*yz"], input: 1, output: 1}
  - {match: ["q*r*s", "q*rs"], input: 1, output: 1}
  - {match: [us.anthropic.claude-x], input: 1, output: 1}
  - {match: [claude-x], input: 1, output: 1}
  - {match: ["*"], provider: ollama, input: 0, output: 0}
  - {match: [llama], provider: ollama, input: 0, output: 0}
`)
	for _, tt := range []struct{ provider, model, want string }{
		{"", "gpt-4o", "gpt-4o"},
		{"", " GPT-4o ", "gpt-4o"},
		{"", "gpt-4o-2024-05-13", "gpt-4o-2024-05-13"}, // its own price
		{"", "gpt-4o-2024-08-06", "gpt-4o"},            // that of the undated name, though a glob matches the whole name
		{"", "openai/gpt-4o-2024-08-06", "gpt-4o"},
		{"", "gpt-4o-audio", "gpt-4o*"},
		{"", "gpt-4o-mini", "gpt-4o*"}, // more characters than *-mini
		{"", "gpt-5", "gpt-*"},
		{"", "o9-mini", "*-mini"},
		{"", "else", "*"},
		{"", "azure/gpt-4o", "azure/*"}, // a host is more specific
		{"", "azure/gpt-4-0613", "azure/gpt-4"},
		{"", "azure/eu/gpt-4o", "gpt-4o"}, // * does not match a slash
		{"", "ayz", "a*z"},                // as specific as *yz, and listed first
		{"", "qrs", "q*rs"},               // as many characters, and fewer *
		{"", "us.anthropic.claude-x-20250101-v1:0", "us.anthropic.claude-x"},
		{"", "eu.anthropic.claude-x-20250101-v1:0", "claude-x"},
		{"ollama", "gpt-4o", "*"}, // one for the provider takes precedence over one for any
		{"Ollama", "library/llama", "llama"},
		{"openai", "gpt-4o", "gpt-4o"},
	} {
		found, ok := p.Find(prices.Query{Model: tt.model, Provider: tt.provider, At: time.Time{}})
		if !ok || found.Pattern != tt.want {
			t.Errorf("%q of %q: want %s, got %s", tt.model, tt.provider, tt.want, found.Pattern)
		}
		wantProvider := ""
		if strings.EqualFold(tt.provider, "ollama") {
			wantProvider = "ollama"
		}
		if found.Provider != wantProvider {
			t.Errorf("%q of %q: got the price of provider %q", tt.model, tt.provider, found.Provider)
		}
	}
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, model string
		want           bool
	}{
		{"a*", "a", true},
		{"a*", "ab", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"*a*", "bab", true},
		{"a*b*c", "axxbxxc", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"a*b*c", "abcabcx", false},
		{"*ab", "aaab", true},
		{"*/*", "a/b", true},
		{"a*", "a/b", false}, // though the part after the slash is tried too
		{"b*", "a/b", true},
		{"é*", "école", true},
		{"a*a*a*a*a*a*a*a*b", strings.Repeat("a", 120), false},
	} {
		p := table(t, "x", "  - {match: ["+"\""+tt.pattern+"\"], input: 1, output: 1}")
		if _, got := p.Find(prices.Query{Model: tt.model, Provider: "", At: time.Time{}}); got != tt.want {
			t.Errorf("%s, %s: want %v, got %v", tt.pattern, tt.model, tt.want, got)
		}
	}
}
