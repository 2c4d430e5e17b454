package rules

import "fmt"

// Series recorded for monthly error budgets.
const (
	monthEvents    = "watchbill:objective_events:increase5m_of_month"
	monthBadEvents = "watchbill:objective_bad_events:increase5m_of_month"
)

// remaining returns the series of the remaining budget.
func (e events) remaining() string { return e.period.remaining }

// slow records the remaining error budget: as a share, and as the time for which all events could fail at the past traffic.
func (e events) slow() []Rule {
	rules, share := e.slowShare()
	return append(rules,
		e.record(e.remaining(), fmt.Sprintf("1 - %s / %s", share, number(e.budget))),
		e.record(e.period.seconds, fmt.Sprintf("%s * %s * %s", e.recorded(e.remaining()), number(e.budget), e.seconds())),
	)
}

// seconds is the period's length in seconds.
func (e events) seconds() string {
	if e.Period == Month {
		return "on () group_left () (days_in_month() * 86400)"
	}
	return fmt.Sprint(int64(e.period.span.Seconds()))
}

// slowShare returns the share of bad events in the budget's period and the recordings it needs. Ranges have a fixed length
// and months do not: recordings for months have the month as a label, and of the last 31 days those of this month count.
func (e events) slowShare() ([]Rule, string) {
	if e.Period != Month {
		return nil, e.share(e.period.span)
	}
	const month = `count_values("month", month())`
	labelled := func(series string) string {
		return e.recorded(series) + " * on () group_left (month) " + month
	}
	ofMonth := func(series string) string {
		return fmt.Sprintf("sum without (month) (%s and on (month) %s)", e.sum(series, e.period.span), month)
	}
	rules := []Rule{e.record(monthEvents, labelled(eventsSeries)), e.record(monthBadEvents, labelled(badEventsSeries))}
	return rules, fmt.Sprintf("%s / (%s > 0)", ofMonth(monthBadEvents), ofMonth(monthEvents))
}
