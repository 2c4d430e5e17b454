package job

import "github.com/watchbill/watchbill/internal/report"

// FromDocument returns the result of a report. The caller adds the time and the outcomes of its deliveries.
func FromDocument(doc report.Document) Result {
	r := Result{
		ReportID: doc.ID,
		Window:   &report.Window{From: doc.Window.From, To: doc.Window.To},
		Verdict:  doc.Verdict,
		Summary:  report.Headline(doc),
	}
	for _, o := range doc.Objectives {
		r.Objectives = append(r.Objectives, Objective{
			Name: o.Name, Target: report.TargetText(o), Actual: report.ActualText(o), Met: o.Met, BudgetRemaining: report.BudgetText(o),
		})
	}
	return r
}
