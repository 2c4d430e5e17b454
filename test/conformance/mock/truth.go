package mock

// The counts of each call. The numbers are unlikely to occur otherwise, so that exported counts can be found in an
// export.
const (
	inputTokens      = 1237 // including the cache's
	cacheReadTokens  = 431
	cacheWriteTokens = 397  // of Anthropic only
	outputTokens     = 2113 // including the reasoning
	reasoningTokens  = 1733 // of OpenAI and Gemini
	embeddingTokens  = 883
)

// Answer is the text of every answer.
const Answer = "It is sunny in Paris, 21 degrees."

// Tokens are counts by kind. Input includes the cached tokens, Output the reasoning.
type Tokens struct {
	Input      int64 `json:"input"`
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Reasoning  int64 `json:"reasoning"`
}

func (t *Tokens) add(o Tokens) {
	t.Input += o.Input
	t.Output += o.Output
	t.CacheRead += o.CacheRead
	t.CacheWrite += o.CacheWrite
	t.Reasoning += o.Reasoning
}

// Expected is what happened in a scenario.
type Expected struct {
	Inferences  int // calls of a model, those that failed too
	Tokens      Tokens
	CostNanoUSD int64
	Unpriced    bool // a model without a known price was called
}

// price is the price of a thousand tokens in micro-USD, which is nano-USD per token.
type price struct{ input, cacheRead, cacheWrite, output int64 }

// prices are list prices by the prefix of a model's name; the longest match applies.
var prices = map[string]price{
	"gpt-4o":                 {2500, 1250, 0, 10_000},
	"gpt-4o-mini":            {150, 75, 0, 600},
	"text-embedding-3-small": {20, 0, 0, 0},
	"claude-sonnet-4-5":      {3000, 300, 3750, 15_000},
	"gemini-2.5-flash":       {300, 30, 0, 2500},
}

func (t *Expected) answered(model string, used Tokens) {
	t.Tokens.add(used)
	best := ""
	for name := range prices {
		if len(name) > len(best) && len(model) >= len(name) && model[:len(name)] == name {
			best = name
		}
	}
	p, known := prices[best]
	if !known {
		t.Unpriced = true
		return
	}
	plain := used.Input - used.CacheRead - used.CacheWrite
	t.CostNanoUSD += plain*p.input + used.CacheRead*p.cacheRead + used.CacheWrite*p.cacheWrite + used.Output*p.output
}

// Embedding returns the usage of one call of an embedding model.
func Embedding() int64 { return embeddingTokens }

// Each returns the usage of one call, of each kind that it uses.
func Each() Tokens {
	return Tokens{Input: inputTokens, Output: outputTokens, CacheRead: cacheReadTokens, CacheWrite: cacheWriteTokens, Reasoning: reasoningTokens}
}
