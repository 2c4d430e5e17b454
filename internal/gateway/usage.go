package gateway

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/watchbill/watchbill/internal/execution"
)

// count is a number of tokens as upstreams give it. One that makes no sense is none: an answer is not refused for it. One that is
// larger than any may be is absurd, and so is all usage with it: what a run used is then unknown.
type count int64

const absurd = -1

func (c *count) UnmarshalJSON(b []byte) error {
	*c = 0
	f, err := strconv.ParseFloat(string(b), 64)
	switch {
	case (err == nil || math.IsInf(f, 1)) && f > execution.MaxTokens:
		*c = absurd
	case err == nil && f > 0:
		*c = count(f)
	}
	return nil
}

// unknownUsage stands for the tokens of a run whose upstream said something absurd.
var unknownUsage = execution.Tokens{Used: absurd}

func anyAbsurd(counts ...count) bool { return slices.Contains(counts, absurd) }

// usage is what a model used, in the words of OpenAI's chat completions, of its responses, and of Anthropic's messages.
type usage struct {
	Prompt     count `json:"prompt_tokens"`
	Completion count `json:"completion_tokens"`
	Input      count `json:"input_tokens"`
	Output     count `json:"output_tokens"`
	Total      count `json:"total_tokens"`

	PromptDetails     usageDetails `json:"prompt_tokens_details"`
	CompletionDetails usageDetails `json:"completion_tokens_details"`
	InputDetails      usageDetails `json:"input_tokens_details"`
	OutputDetails     usageDetails `json:"output_tokens_details"`

	// Anthropic counts these beside input_tokens, not in them.
	CacheRead     count `json:"cache_read_input_tokens"`
	CacheCreation count `json:"cache_creation_input_tokens"`
}

type usageDetails struct {
	Cached    count `json:"cached_tokens"`
	Reasoning count `json:"reasoning_tokens"`
}

func (u usage) tokens() execution.Tokens {
	if anyAbsurd(u.Prompt, u.Completion, u.Input, u.Output, u.Total, u.CacheRead, u.CacheCreation,
		u.PromptDetails.Cached, u.PromptDetails.Reasoning, u.CompletionDetails.Cached, u.CompletionDetails.Reasoning,
		u.InputDetails.Cached, u.InputDetails.Reasoning, u.OutputDetails.Cached, u.OutputDetails.Reasoning) {
		return unknownUsage
	}
	t := execution.Tokens{
		Input:      int64(max(u.Prompt, u.Input)),
		Output:     int64(max(u.Completion, u.Output)),
		CacheRead:  int64(max(u.PromptDetails.Cached, u.InputDetails.Cached)),
		CacheWrite: int64(u.CacheCreation),
		Reasoning:  int64(max(u.CompletionDetails.Reasoning, u.OutputDetails.Reasoning)),
		Used:       int64(u.Total),
	}
	if u.CacheRead > 0 || u.CacheCreation > 0 {
		t.CacheRead = max(t.CacheRead, int64(u.CacheRead))
		if u.Prompt == 0 {
			t.Input += t.CacheRead + t.CacheWrite
		}
	}
	if t.Reasoning > 0 && t.Used == t.Input+t.Output+t.Reasoning {
		t.Output += t.Reasoning // some servers count reasoning beside the answer, as their total shows
	}
	return consistent(t)
}

// given is what an agent says of its tokens in our own words: a total, or an object.
type given struct{ tokens execution.Tokens }

func (g *given) UnmarshalJSON(b []byte) error {
	var total count
	if _, err := strconv.ParseFloat(string(b), 64); err == nil {
		_ = total.UnmarshalJSON(b) // never fails
		if anyAbsurd(total) {
			g.tokens = unknownUsage
			return nil
		}
		g.tokens = consistent(execution.Tokens{Used: int64(total)})
		return nil
	}
	var parts struct {
		Input      count `json:"input"`
		Output     count `json:"output"`
		CacheRead  count `json:"cache_read"`
		CacheWrite count `json:"cache_write"`
		Reasoning  count `json:"reasoning"`
		Total      count `json:"total"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		g.tokens = execution.Tokens{}
		return nil //nolint:nilerr // as for a count
	}
	if anyAbsurd(parts.Input, parts.Output, parts.CacheRead, parts.CacheWrite, parts.Reasoning, parts.Total) {
		g.tokens = unknownUsage
		return nil
	}
	g.tokens = consistent(execution.Tokens{
		Input: int64(parts.Input), Output: int64(parts.Output), CacheRead: int64(parts.CacheRead),
		CacheWrite: int64(parts.CacheWrite), Reasoning: int64(parts.Reasoning), Used: int64(parts.Total),
	})
	return nil
}

// consistent makes counts that may be stored: parts are no more than what they are parts of.
func consistent(t execution.Tokens) execution.Tokens {
	if t == unknownUsage {
		return t
	}
	t.Input, t.Output = min(t.Input, execution.MaxTokens), min(t.Output, execution.MaxTokens)
	t.CacheRead = min(t.CacheRead, t.Input)
	t.CacheWrite = min(t.CacheWrite, t.Input-t.CacheRead)
	t.Reasoning = min(t.Reasoning, t.Output)
	if t.Input > 0 || t.Output > 0 {
		t.Used = t.Input + t.Output
	}
	return t
}
