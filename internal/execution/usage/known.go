package usage

import "github.com/watchbill/watchbill/internal/execution"

// Usage returns how a call's tokens are known. ran reports that the model responded, at least in part. A provider does
// not bill a call that it rejected. A call that timed out, was abandoned or reported no usage is billed, but its usage
// is unknown. It is also unknown for a call that broke off after reporting only its input, as a stream's first event
// does: the counts are then a lower bound.
func (t *Result) Usage(status execution.Status, ran bool) execution.Usage {
	switch {
	case status != execution.Success && t.InputOnly():
		return execution.UsageUnknown
	case t.Counted():
		return execution.UsageReported
	case status == execution.Failure && !ran && !t.Absurd:
		return execution.UsageNone
	}
	return execution.UsageUnknown
}

// InputOnly reports whether the input was reported and the output was not.
func (t *Result) InputOnly() bool {
	return t.Tokens.Input > 0 && t.Tokens.Output == 0 && t.Tokens.Used <= t.Tokens.Input
}

// Complete completes reported counts with an estimate: the input if it is missing, and the output if the estimate is
// larger.
func Complete(result, estimate execution.Tokens) execution.Tokens {
	if result.Input == 0 {
		result.Input = estimate.Input
	}
	result.Output = max(result.Output, estimate.Output)
	result.Used = max(result.Used, result.Input+result.Output)
	return result
}

// Estimate estimates a call's usage from its texts: four letters per token, and one token per character in scripts
// without spaces.
func Estimate(prompt, answer string) execution.Tokens {
	t := execution.Tokens{Input: min(guess(prompt), execution.MaxTokens), Output: min(guess(answer), execution.MaxTokens)}
	t.Used = t.Input + t.Output
	return t
}

func guess(text string) int64 {
	var quarters int64
	for _, r := range text {
		switch {
		case r < 0x80:
			quarters++
		case r < 0x1100:
			quarters += 2
		default:
			quarters += 4
		}
	}
	return (quarters + 3) / 4
}
