package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/usage"
)

// used gathers what an upstream says of what a run used, in any of its events.
type used struct {
	events usage.Events
	own    json.RawMessage // what an agent says in our own words: a total, or an object

	spoke   bool // some text came
	current bool // how much was written was told with the last text or after it, or at the end
	opening bool // it was told last by the event that opens a stream
}

// add takes a usage object as a provider gives it, and reports whether it says how much was written. It may be none.
func (u *used) add(object json.RawMessage) (written bool) {
	return len(object) > 0 && u.events.Add(string(object))
}

// passed notes what one event of an answer had: how much was written, text, and whether it was one that comes at the end.
func (u *used) passed(written, text, ends bool) {
	u.spoke = u.spoke || text
	switch {
	case written:
		u.current, u.opening = u.spoke || ends, false
	case text:
		u.current = false
	}
}

// partial reports whether counts that were told leave something out: those of an answer that broke off after they were told,
// or that were told when it began.
func (u *used) partial(told *usage.Told, brokeOff bool) bool {
	return u.spoke && (u.opening || told.InputOnly()) || brokeOff && !u.current
}

func (u *used) settle(by usage.Source) usage.Told {
	told := u.events.Settle(by)
	if own := usage.Own(string(u.own), by); own.Counted() || own.Absurd {
		own.Cost, own.Billing = told.Cost, told.Billing
		return own
	}
	return told
}

// account sets what a run used, what its price depends on, and what is known of it.
func (r *run) account(e *execution.Execution, done *result, fault *failure) {
	told := done.used.settle(usage.Source{Provider: strings.ToLower(e.Provider), Model: e.Model})
	e.Tokens, e.Billing, e.ProviderCost = told.Tokens, told.Billing, told.Cost
	if r.g.opts.UnreadCount != nil {
		for _, name := range told.Unread {
			r.g.opts.UnreadCount(name)
		}
	}
	if told.Absurd {
		e.Tokens, e.PriceVersion = execution.Tokens{}, usageUnknown
		r.g.reportUsage(r.agent.name, e.ID)
	}
	if e.Model == "" && !told.Counted() && !told.Absurd {
		return // nothing says that a model ran
	}
	ran := done.text != "" || done.output != nil || fault != nil && !fault.refusal()
	e.Usage = told.Usage(e.Status, ran)
	if told.Counted() && done.used.partial(&told, fault != nil) {
		e.Usage = execution.UsageUnknown
	}
	if e.Usage == execution.UsageUnknown && r.agent.estimates && !told.Absurd {
		guess := usage.Estimate(r.agent.system+r.prompt.Message+string(r.prompt.Options), done.text+string(done.output))
		e.Tokens, e.Usage = usage.Complete(e.Tokens, guess), execution.UsageEstimated
	}
}

// refusal reports whether a run failed before a model answered, in a way that its provider does not bill.
func (f *failure) refusal() bool {
	switch f.code {
	case "upstream_unreachable", "upstream_error":
		return true
	}
	status, err := strconv.Atoi(strings.TrimPrefix(f.code, "upstream_"))
	return err == nil && status != http.StatusRequestTimeout && status != http.StatusGatewayTimeout
}
