package reports

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// CreateWithin is the deadline of computing a report.
const CreateWithin = 30 * time.Second

// maxComputations is the maximum number of reports that are computed at once; others wait. A year of rollups is many rows.
const maxComputations = 2

// newReport is a request to create a report.
type newReport struct {
	input     report.Input
	namespace string // of the report; empty if the caller is an administrator
}

func readNewReport(x *endpoint.Exchange) (newReport, error) {
	var req newReport
	if err := x.NoQuery(); err != nil {
		return req, err
	}
	if x.Caller.Account != nil {
		req.namespace = x.Caller.Account.Namespace
	}
	return req, x.Decode(&req.input)
}

// createReport computes a report, stores it and returns it.
func (a *API) createReport(ctx context.Context, wanted newReport) (endpoint.Content, error) {
	now := a.Now()
	req, err := report.ParseRequest(wanted.input, endpoint.DefaultHours, now)
	if err != nil {
		return endpoint.Content{}, err
	}
	if err := a.computing.Enter(ctx); err != nil {
		return endpoint.Content{}, err
	}
	defer a.computing.Leave()
	current, previous, err := a.reportFacts(ctx, req)
	if err != nil {
		return endpoint.Content{}, err
	}
	id, err := endpoint.NewID(a.Random)
	if err != nil {
		return endpoint.Content{}, err
	}
	req.Currency = a.Currency()
	doc, err := report.Compute(req, current, previous, now, id.String())
	if err != nil {
		return endpoint.Content{}, err
	}
	if err := a.Reports.SaveReport(ctx, wanted.namespace, doc, req.Keep); err != nil {
		return endpoint.Content{}, err
	}
	body, err := json.Marshal(doc) // in the form in which it is stored
	if err != nil {
		return endpoint.Content{}, fmt.Errorf("encode a report: %w", err)
	}
	return endpoint.Content{Status: http.StatusCreated, MediaType: "application/json", Body: body}, nil
}

// reportFacts reads a report's window, and the previous window if the report compares with it.
func (a *API) reportFacts(ctx context.Context, req report.Request) (current report.Facts, previous *report.Facts, err error) {
	parts, partsBefore := req.Parts()
	current, err = a.Measurements.Facts(ctx, req.Window, parts)
	if err != nil || req.CompareWith != report.ComparePrevious {
		return current, nil, err
	}
	before, err := a.Measurements.Facts(ctx, req.Window.Previous(), partsBefore)
	return current, &before, err
}

type reportQuery struct {
	list            input.List
	account         *endpoint.ServiceAccount // the caller; nil for an administrator
	namespace, name string                   // empty for any
	before          uuid.UUID
	limit           int
}

func readReportQuery(x *endpoint.Exchange) (reportQuery, error) {
	q := x.Query()
	req := reportQuery{account: x.Caller.Account, namespace: readNamespace(&q, "namespace"), name: readReportName(&q, "name"), limit: q.Limit()}
	if req.account != nil && req.namespace == "" {
		req.namespace = req.account.Namespace
	}
	req.list = input.NewList("reports", req.namespace, req.name)
	cursor, given := q.Text("cursor")
	if err := q.Done(); err != nil {
		return req, err
	}
	var err error
	req.before, err = req.list.BeforeID(cursor, given)
	return req, err
}

func (a *API) listReports(ctx context.Context, q reportQuery) (openapi.ReportList, error) {
	if err := a.checkVisible(ctx, q.account, q.namespace); err != nil {
		return openapi.ReportList{}, err
	}
	found, err := a.Reports.ListReports(ctx, q.namespace, q.name, q.before, q.limit+1)
	if err != nil {
		return openapi.ReportList{}, err
	}
	page := openapi.ReportList{Reports: []openapi.ReportSummary{}}
	for i, heading := range found {
		if i == q.limit {
			last, err := uuid.Parse(found[i-1].ID)
			if err != nil {
				return page, fmt.Errorf("read a report's id: %w", err)
			}
			page.NextCursor = q.list.CursorAfterID(last)
			break
		}
		page.Reports = append(page.Reports, summaryOf(heading))
	}
	return page, nil
}

func summaryOf(h report.Heading) openapi.ReportSummary {
	return openapi.ReportSummary{
		ID: h.ID, Namespace: h.Namespace, Name: h.Name, Verdict: openapi.Verdict(h.Verdict), CreatedAt: h.CreatedAt.UTC(),
		Window: openapi.Window{From: h.Window.From.UTC(), To: h.Window.To.UTC(), CoveredSeconds: h.Window.CoveredSeconds},
	}
}

type storedReport struct {
	account *endpoint.ServiceAccount // the caller; nil for an administrator
	id      uuid.UUID
	format  report.Format
}

func readReportID(x *endpoint.Exchange) (storedReport, error) {
	id, err := x.ID("report_id")
	if err != nil {
		return storedReport{}, err
	}
	q := x.Query()
	format := input.OneOf(&q, "format", report.JSON, report.Markdown, report.CSV, report.HTML)
	if format == "" {
		format = report.JSON
	}
	return storedReport{x.Caller.Account, id, format}, q.Done()
}

func (a *API) getReport(ctx context.Context, req storedReport) (endpoint.Content, error) {
	namespace, stored, err := a.Reports.Report(ctx, req.id)
	if err == nil {
		err = a.checkVisible(ctx, req.account, namespace)
	}
	if isForbidden(err) { // do not reveal that the report exists
		err = problem.ErrNoReport
	}
	if err != nil {
		return endpoint.Content{}, err
	}
	response := endpoint.Content{Status: http.StatusOK, MediaType: req.format.ContentType(), Body: stored}
	switch req.format {
	case report.JSON:
		return response, nil
	case report.HTML: // it shows names that clients chose
		response.Header = map[string]string{"Content-Security-Policy": report.PagePolicy}
	}
	var doc report.Document
	if err := json.Unmarshal(stored, &doc); err != nil {
		return endpoint.Content{}, fmt.Errorf("decode report %s: %w", req.id, err)
	}
	var rendered bytes.Buffer
	err = report.Render(&rendered, doc, req.format, report.RenderOptions{})
	response.Body = rendered.Bytes()
	return response, err
}

// namespacePattern matches a DNS label as Kubernetes defines it.
var namespacePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// readNamespace reads the name of a Kubernetes namespace. It returns "" if the parameter is missing.
func readNamespace(q *input.Query, name string) string {
	text, given := q.Text(name)
	if given && !namespacePattern.MatchString(text) {
		q.Fault("invalid_parameter", name, "must be the name of a Kubernetes namespace")
	}
	return text
}

// readReportName reads a report's name. It returns "" if the parameter is missing.
func readReportName(q *input.Query, name string) string {
	text, given := q.Text(name)
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if n := utf8.RuneCountInString(text); given && (n < 1 || n > 100 || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable)) {
		q.Fault("invalid_parameter", name, "must be the name of a report: 1 to 100 characters that can be printed")
	}
	return text
}
