package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/usage"
)

// used collects the usage that an upstream reports in any of its events.
type used struct {
	events usage.Events
	own    json.RawMessage // usage in the gateway's format: a total or an object

	spoke   bool // some text came
	current bool // the output's count came with the last text, after it, or at the end
	opening bool // the count came last with the event that opens a stream
}

// add adds a provider's usage object, which may be empty, and reports whether it has the output's count.
func (u *used) add(object json.RawMessage) (written bool) {
	return len(object) > 0 && u.events.Add(string(object))
}

// passed records whether an event had the output's count, whether it had text, and whether it ended the output.
func (u *used) passed(written, text, ends bool) {
	u.spoke = u.spoke || text
	switch {
	case written:
		u.current, u.opening = u.spoke || ends, false
	case text:
		u.current = false
	}
}

// partial reports whether the reported counts are incomplete: the output stopped after they were reported, or they were
// reported when it began.
func (u *used) partial(result *usage.Result, brokeOff bool) bool {
	return u.spoke && (u.opening || result.InputOnly()) || brokeOff && !u.current
}

func (u *used) settle(by usage.Source) usage.Result {
	result := u.events.Settle(by)
	if own := usage.Own(string(u.own), by); own.Counted() || own.Absurd {
		own.Cost, own.Billing = result.Cost, result.Billing
		return own
	}
	return result
}

// account sets a run's usage, what its price depends on, and how complete the usage is.
func (r *run) account(e *execution.Execution, done *result, fault *failure) {
	result := done.used.settle(usage.Source{Provider: strings.ToLower(e.Provider), Model: e.Model})
	e.Tokens, e.Billing, e.ProviderCost = result.Tokens, result.Billing, result.Cost
	if r.g.opts.UnreadCount != nil {
		for _, name := range result.Unread {
			r.g.opts.UnreadCount(name)
		}
	}
	if result.Absurd {
		e.Tokens, e.PriceVersion = execution.Tokens{}, usageUnknown
		r.g.reportUsage(r.agent.name, e.ID)
	}
	if e.Model == "" && !result.Counted() && !result.Absurd {
		return // no sign that a model ran
	}
	ran := done.text != "" || done.output != nil || fault != nil && !fault.refusal()
	e.Usage = result.Usage(e.Status, ran)
	if result.Counted() && done.used.partial(&result, fault != nil) {
		e.Usage = execution.UsageUnknown
	}
	if e.Usage == execution.UsageUnknown && r.agent.estimates && !result.Absurd {
		guess := usage.Estimate(r.agent.system+r.prompt.Message+string(r.prompt.Options), done.text+string(done.output))
		e.Tokens, e.Usage = usage.Complete(e.Tokens, guess), execution.UsageEstimated
	}
}

// refusal reports whether a run failed before a model answered, in a way that providers do not bill.
func (f *failure) refusal() bool {
	switch f.code {
	case "upstream_unreachable", "upstream_error":
		return true
	}
	status, err := strconv.Atoi(strings.TrimPrefix(f.code, "upstream_"))
	return err == nil && status != http.StatusRequestTimeout && status != http.StatusGatewayTimeout
}
