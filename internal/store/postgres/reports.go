package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Reports stores the documents of reports.
type Reports struct{ db *DB }

// NewReports returns a store of reports.
func NewReports(db *DB) *Reports { return &Reports{db} }

// SaveReport stores a document. In a Kubernetes namespace it replaces the document of the same name and window;
// without a namespace it is always added. If keep is positive, all but the newest keep documents of the same
// namespace and name are deleted.
func (s *Reports) SaveReport(ctx context.Context, namespace string, doc report.Document, keep int) error {
	const doing = "store a report"
	id, err := uuid.Parse(doc.ID)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return s.db.inTx(ctx, doing, func(q *dbgen.Queries) error {
		if keep > 0 {
			if err := q.LockReports(ctx, dbgen.LockReportsParams{Namespace: namespace, Name: doc.Name}); err != nil {
				return err
			}
		}
		err := q.SaveReport(ctx, dbgen.SaveReportParams{
			ID: id, Namespace: namespace, Name: doc.Name, WindowFrom: doc.Window.From, WindowTo: doc.Window.To,
			Verdict: string(doc.Verdict), Document: body,
		})
		if err != nil || keep == 0 {
			return err
		}
		return q.DropReportsBeyond(ctx, dbgen.DropReportsBeyondParams{Namespace: namespace, Name: doc.Name, Saved: id, Keep: int32(keep)})
	})
}

// Report returns a document as JSON and its namespace.
func (s *Reports) Report(ctx context.Context, id uuid.UUID) (namespace string, doc []byte, err error) {
	row, err := s.db.queries.GetReport(ctx, id)
	return row.Namespace, row.Document, wrap("read a report", orNotFound(err, report.ErrNotFound))
}

// ListReports returns up to most headings before the given id, newest first. Namespace and name restrict the result
// unless they are empty.
func (s *Reports) ListReports(ctx context.Context, namespace, name string, before uuid.UUID, limit int) ([]report.Heading, error) {
	rows, err := s.db.queries.ListReports(ctx, dbgen.ListReportsParams{
		Namespace: optional(namespace), Name: optional(name), Before: before, MaxRows: int32(limit),
	})
	if err != nil {
		return nil, wrap("list reports", err)
	}
	headings := make([]report.Heading, len(rows))
	for i, r := range rows {
		headings[i] = report.Heading{
			ID: r.ID.String(), Namespace: r.Namespace, Name: r.Name,
			Window:  report.Coverage{Window: report.Window{From: r.WindowFrom, To: r.WindowTo}, CoveredSeconds: r.CoveredSeconds},
			Verdict: report.Verdict(r.Verdict), CreatedAt: r.CreatedAt,
		}
	}
	return headings, nil
}
