package report

import (
	"fmt"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
)

// Short texts about a report, for callers that show less than a whole one. The renderers use the same texts. Documents
// are not trusted: the texts are printable and of limited length.

// Headline returns the verdict in words: "Pass: 8 of 8 objectives met".
func Headline(doc Document) string {
	var missed, without, undecided int
	for _, r := range doc.Objectives {
		switch {
		case r.Met == nil && r.Actual != nil:
			undecided++
		case r.Met == nil:
			without++
		case !*r.Met:
			missed++
		}
	}
	s := printable(string(doc.Verdict))
	switch {
	case missed > 0:
		s += fmt.Sprintf(": %d of %s missed", missed, number.Counted(int64(len(doc.Objectives)), "objective"))
	case doc.Verdict == Pass:
		s += fmt.Sprintf(": %d of %s met", len(doc.Objectives)-without-undecided, number.Counted(int64(len(doc.Objectives)), "objective"))
	}
	if without > 0 && doc.Verdict != NoData {
		s += fmt.Sprintf(", %d without data", without)
	}
	if undecided > 0 {
		s += fmt.Sprintf(", %d undecided", undecided)
	}
	if doc.Previous != nil {
		s += fmt.Sprintf(" (previous window: %s)", printable(string(doc.Previous.Verdict)))
	}
	return s
}

// TargetText returns the target in words: "< 200 ms", "0.1/s ± 50 %".
func TargetText(r objective.Result) string {
	if r.Comparison == objective.Around && r.Tolerance != nil {
		return r.Unit.Format(r.Target) + " ± " + number.Percent(*r.Tolerance)
	}
	return printable(string(r.Comparison)) + " " + r.Unit.Format(r.Target)
}

// ActualText returns the actual figure in words: "3.1 ms", "99.2 %", "12.30 USD"; empty without data.
func ActualText(r objective.Result) string {
	if r.Actual == nil {
		return ""
	}
	text := r.Unit.Format(*r.Actual)
	if r.AtLeast {
		return "at least " + text
	}
	return text
}

// BudgetText returns how much of the error budget is left: "62 %", "-250 %"; empty for an objective without one.
func BudgetText(r objective.Result) string {
	if r.ErrorBudgetRemaining == nil {
		return ""
	}
	return number.Percent(*r.ErrorBudgetRemaining)
}
