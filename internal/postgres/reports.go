package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/postgres/dbgen"
	"github.com/watchbill/watchbill/internal/report"
)

// Reports stores the documents that reports are.
type Reports struct{ db *DB }

// NewReports makes the store.
func NewReports(db *DB) *Reports { return &Reports{db} }

// SaveReport stores a document.
func (s *Reports) SaveReport(ctx context.Context, doc report.Document) error {
	const doing = "store a report"
	id, err := uuid.Parse(doc.ID)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fault(doing, s.db.queries.InsertReport(ctx, dbgen.InsertReportParams{
		ID: id, Name: doc.Name, WindowFrom: doc.Window.From, WindowTo: doc.Window.To, Verdict: string(doc.Verdict), Document: body,
	}))
}

// Report reads a document, in JSON.
func (s *Reports) Report(ctx context.Context, id uuid.UUID) ([]byte, error) {
	doc, err := s.db.queries.GetReport(ctx, id)
	return doc, fault("read a report", orNotFound(err, report.ErrNotFound))
}

// ListReports reads headings newest first, those before the given id.
func (s *Reports) ListReports(ctx context.Context, before uuid.UUID, most int) ([]report.Heading, error) {
	rows, err := s.db.queries.ListReports(ctx, dbgen.ListReportsParams{Before: before, Most: int32(most)})
	if err != nil {
		return nil, fault("list reports", err)
	}
	headings := make([]report.Heading, len(rows))
	for i, r := range rows {
		headings[i] = report.Heading{
			ID: r.ID.String(), Name: r.Name,
			Window:  report.Coverage{Window: report.Window{From: r.WindowFrom, To: r.WindowTo}, CoveredSeconds: r.CoveredSeconds},
			Verdict: report.Verdict(r.Verdict), CreatedAt: r.CreatedAt,
		}
	}
	return headings, nil
}
