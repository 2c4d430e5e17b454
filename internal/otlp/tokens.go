package otlp

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// tokensOf counts what a model's call consumed and produced. A wrong count has the attribute's name in its fault.
func tokensOf(a attributes) (tokens execution.Tokens, wrong *fault) {
	for _, kind := range []struct {
		count *int64
		names []string
	}{
		{&tokens.Input, inputTokens},
		{&tokens.Output, outputTokens},
		{&tokens.CacheRead, cacheReadTokens},
		{&tokens.CacheWrite, cacheWriteTokens},
		{&tokens.Reasoning, reasoningTokens},
		{&tokens.Used, totalTokens},
	} {
		for _, name := range kind.names {
			count, said, err := countOf(a[name])
			if err != nil {
				return execution.Tokens{}, &fault{field: name, why: err.Error()}
			}
			if said {
				*kind.count = count
				break
			}
		}
	}
	// Input includes what was cached, and output the reasoning; where an instrumentation says otherwise the sums show it.
	if cached := tokens.CacheRead + tokens.CacheWrite; cached > tokens.Input {
		tokens.Input += cached
	}
	if tokens.Reasoning > tokens.Output {
		tokens.Output += tokens.Reasoning
	}
	if tokens.Input > execution.MaxTokens || tokens.Output > execution.MaxTokens {
		return execution.Tokens{}, &fault{field: "gen_ai.usage", why: fmt.Sprintf("comes to more than %d tokens of one kind", execution.MaxTokens)}
	}
	if tokens.TellApart() {
		tokens.Used = tokens.Input + tokens.Output
	}
	return tokens, nil
}

// countOf reads a count, whichever type it has. NaN is what the AI SDK sends when the provider did not say: no count.
func countOf(value *commonpb.AnyValue) (count int64, said bool, err error) {
	switch v := value.GetValue().(type) {
	case nil:
		return 0, false, nil
	case *commonpb.AnyValue_IntValue:
		count = v.IntValue
	case *commonpb.AnyValue_DoubleValue:
		return countOfFloat(v.DoubleValue)
	case *commonpb.AnyValue_StringValue:
		text := strings.TrimSpace(v.StringValue)
		if text == "" {
			return 0, false, nil
		}
		if count, err = strconv.ParseInt(text, 10, 64); err != nil {
			float, err := strconv.ParseFloat(text, 64)
			if err != nil && !math.IsInf(float, 0) { // what is out of range is infinite
				return 0, false, errNoCount
			}
			return countOfFloat(float)
		}
	default:
		return 0, false, errNoCount
	}
	return count, true, checkCount(float64(count))
}

func countOfFloat(float float64) (count int64, said bool, err error) {
	if math.IsNaN(float) {
		return 0, false, nil
	}
	if err := checkCount(float); err != nil {
		return 0, false, err
	}
	return int64(float), true, nil
}

var errNoCount = fmt.Errorf("must be a whole number from 0 to %d", execution.MaxTokens)

func checkCount(count float64) error {
	if count < 0 || count > execution.MaxTokens || count != math.Trunc(count) {
		return errNoCount
	}
	return nil
}
