package usage

import "github.com/watchbill/watchbill/internal/execution"

// Usage returns what is known of a call's tokens. ran reports that the model answered, if only in part. A provider does not
// bill a call that it refused; a call that ran out of time, was left, or did not say what it used, is billed, and nobody
// knows for how much. Nor is it known of a call that broke off when only its input was told, as a stream's first event does:
// then the counts are the least that it used.
func (t *Told) Usage(status execution.Status, ran bool) execution.Usage {
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

// InputOnly reports whether the input was told, and nothing of the output.
func (t *Told) InputOnly() bool {
	return t.Tokens.Input > 0 && t.Tokens.Output == 0 && t.Tokens.Used <= t.Tokens.Input
}

// Complete adds to what was told an estimate of what was not: the input where it is missing, and the output where the estimate
// is larger.
func Complete(told, estimate execution.Tokens) execution.Tokens {
	if told.Input == 0 {
		told.Input = estimate.Input
	}
	told.Output = max(told.Output, estimate.Output)
	told.Used = max(told.Used, told.Input+told.Output)
	return told
}

// Estimate guesses what a call used from the texts of both sides: four letters to a token, and one token to a character of
// a script that has no spaces.
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
