package ingest

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/usage"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// maxProviderCost is the maximum of provider_cost_usd, in USD.
const maxProviderCost = 1e6

// usageFields are the members, other than the main token counts, for a call's usage and what its price depends on.
var usageFields = []string{
	"usage", "provider_cost_usd", "service_tier", "region", "cache_write_1h_tokens",
	"audio_input_tokens", "audio_output_tokens", "audio_cache_read_tokens", "image_input_tokens", "image_output_tokens",
}

// usageReader is an executionReader's state of a call's usage until all members are read.
type usageReader struct {
	known  string         // the member usage, if it is a string
	object jsontext.Value // the member usage, if it is a provider's object
	parts  usage.Parts    // the counts that are present
	unread []string       // unknown names in object
}

// usageMember reads one of usageFields. It reports false for any other member.
func (r *executionReader) usageMember(name string, value jsontext.Value) (known bool, err error) {
	b := &r.e.Billing
	switch name {
	case "usage":
		switch value.Kind() {
		case jsontext.KindBeginObject:
			r.usage.object = value
			return true, nil
		case jsontext.KindString:
			return true, readText(&r.arena, value, name, &r.usage.known, nil)
		case jsontext.KindInvalid: // null
			return true, nil
		}
		return true, problem.BadRequest("invalid_type", name, "must be a string or an object")
	case "provider_cost_usd":
		return true, readCost(value, name, &r.e.ProviderCost)
	case "service_tier":
		return true, readWord(&r.arena, value, name, &b.ServiceTier)
	case "region":
		return true, readWord(&r.arena, value, name, &b.Region)
	case "cache_write_1h_tokens":
		return true, readCount(value, name, &b.CacheWrite1h)
	case "audio_input_tokens":
		return true, readCount(value, name, &b.AudioInput)
	case "audio_output_tokens":
		return true, readCount(value, name, &b.AudioOutput)
	case "audio_cache_read_tokens":
		return true, readCount(value, name, &b.AudioCacheRead)
	case "image_input_tokens":
		return true, readCount(value, name, &b.ImageInput)
	case "image_output_tokens":
		return true, readCount(value, name, &b.ImageOutput)
	}
	return false, nil
}

// readWord reads a provider's name for something, such as batch or us-east-1, and lowercases it.
func readWord(arena *arena, value jsontext.Value, field string, into *string) error {
	if err := readText(arena, value, field, into, nil); err != nil {
		return err
	}
	*into = strings.ToLower(*into)
	if strings.Trim(*into, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != "" || len(*into) > execution.MaxWord {
		return problem.BadRequest("invalid_field", field, "must be at most %d letters, digits, dots, hyphens and underscores", execution.MaxWord)
	}
	return nil
}

func readCost(value jsontext.Value, field string, into **int64) error {
	if value == nil {
		return nil
	}
	if value.Kind() != jsontext.KindNumber {
		return problem.BadRequest("invalid_type", field, "must be a number")
	}
	usd, err := strconv.ParseFloat(string(value), 64)
	if err != nil || usd < 0 || usd > maxProviderCost {
		return problem.BadRequest("invalid_field", field, "must be from 0 to %d", int64(maxProviderCost))
	}
	*into = new(int64(math.Round(usd * 1e9)))
	return nil
}

// settleUsage reconciles the token counts and sets the execution's Usage. The caller's own counts take precedence over
// those of a provider's object.
func (r *executionReader) settleUsage() error {
	e := r.e
	by := usage.Source{Provider: strings.ToLower(e.Provider), Model: e.Model}
	var result usage.Result
	switch {
	case r.usage.object != nil:
		var events usage.Events
		events.Add(string(r.usage.object))
		result = events.Settle(by)
		r.usage.unread = result.Unread
		if e.Tokens == (execution.Tokens{}) && !result.Absurd {
			e.Tokens = result.Tokens
			r.fillBilling(result.Billing)
		} else if e.Billing.ServiceTier == "" {
			e.Billing.ServiceTier = result.Billing.ServiceTier
		}
		if e.ProviderCost == nil {
			e.ProviderCost = result.Cost
		}
	default:
		e.Tokens = usage.Reconcile(e.Tokens, r.usage.parts, by)
	}
	counted := e.Tokens.Used > 0 || e.Tokens.Distinguish()
	switch known := execution.Usage(r.usage.known); {
	case known == execution.UsageEstimated && !counted:
		return problem.BadRequest("invalid_field", "usage", "is estimated, but there are no tokens")
	case known == execution.UsageReported, known == execution.UsageUnknown, known == execution.UsageEstimated:
		e.Usage = known
	case known == "none":
		if counted {
			return problem.BadRequest("invalid_field", "usage", "is none, but there are tokens")
		}
	case known != "":
		return problem.BadRequest("invalid_field", "usage", "must be reported, unknown, estimated or none, or an object as a provider gives it")
	case counted:
		result.Tokens = e.Tokens
		result.Tokens.Used = max(e.Tokens.Used, e.Tokens.Input+e.Tokens.Output)
		e.Usage = result.Usage(e.Status, true)
	case e.Kind == execution.Inference, e.Kind == execution.Agent && e.Model != "":
		e.Usage = result.Usage(e.Status, e.Output != nil)
	}
	return nil
}

// fillBilling copies what the caller left out from result.
func (r *executionReader) fillBilling(result execution.Billing) {
	b := &r.e.Billing
	counts := result.Counts()
	for i, count := range b.Counts() {
		if *count == 0 {
			*count = *counts[i]
		}
	}
	if b.ServiceTier == "" {
		b.ServiceTier = result.ServiceTier
	}
	if b.Region == "" {
		b.Region = result.Region
	}
}
