package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

const (
	reportsPage = int32(500)
	maxReports  = 1000 // the maximum kept for one MonitoringReport
)

// reports returns a client for the outcomes of runs. It returns nil if no server is given or a flag is wrong.
func (o *controllerOptions) reports(wrong *faults) controllers.Reports {
	before := len(*wrong)
	wrong.add(o.connection.server == "", "--server", "is required")
	if o.connection.server == "" {
		return nil
	}
	transport := o.connection.transport(wrong)
	if o.tokenFile == "" || len(*wrong) > before {
		return nil
	}
	_, err := readToken("", o.tokenFile)
	wrong.keep("--token-file", err)
	e := &exchange{server: strings.TrimSuffix(o.connection.server, "/"), tokenSource: "--token-file", timeout: askTimeout}
	return keptReports{newClient(e, transport), o.tokenFile}
}

// keptReports looks up the reports that the API keeps.
type keptReports struct {
	client    *client
	tokenFile string // read for each request, since the token is replaced every few minutes
}

// Find implements controllers.Reports.
func (k keptReports) Find(ctx context.Context, namespace, name string, slot time.Time) (reportjob.Result, bool, error) {
	token, err := readToken("", k.tokenFile)
	if err != nil {
		return reportjob.Result{}, false, err
	}
	authorize := bearer(token)
	kept, _, err := pages(maxReports, int(reportsPage), func(size int32, cursor *string) ([]openapi.ReportSummary, string, error) {
		list, err := decoded[openapi.ReportList](read(k.client.ListReports(ctx, &openapi.ListReportsParams{
			Namespace: &namespace, Name: &name, Limit: &size, Cursor: cursor,
		}, authorize)))
		return list.Reports, list.NextCursor, err
	})
	if err != nil {
		return reportjob.Result{}, false, err
	}
	for _, one := range kept {
		if one.Window.To.Equal(slot) {
			return k.read(ctx, one.ID, authorize)
		}
	}
	return reportjob.Result{}, false, nil
}

func (k keptReports) read(ctx context.Context, id string, authorize openapi.RequestEditorFn) (reportjob.Result, bool, error) {
	document, err := decoded[report.Document](read(k.client.GetReport(ctx, id, nil, authorize)))
	var refused *refusal
	if errors.As(err, &refused) && refused.problem.Status == http.StatusNotFound {
		return reportjob.Result{}, false, nil // it was replaced or evicted
	}
	if err != nil {
		return reportjob.Result{}, false, err
	}
	result := reportjob.FromDocument(document)
	result.CompletedAt = document.GeneratedAt
	return result, true, nil
}

func bearer(token string) openapi.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}
