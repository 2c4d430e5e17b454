// Package reports has the routes of reports.
package reports

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Measurements reads the rollups of all replicas.
type Measurements interface {
	// Facts returns the measurements of a window. It reads only the given parts.
	Facts(ctx context.Context, window report.Window, parts report.Parts) (report.Facts, error)
}

// Reports stores report documents. Those of administrators have the namespace "".
type Reports interface {
	// SaveReport stores a document. In a namespace it replaces the document of the same name and window. If keep is
	// positive, all but the newest keep documents of the same namespace and name are deleted.
	SaveReport(ctx context.Context, namespace string, doc report.Document, keep int) error
	// Report returns a document as stored, in JSON, and its namespace.
	Report(ctx context.Context, id uuid.UUID) (namespace string, doc []byte, err error)
	// ListReports lists reports, newest first, beginning before the given id. namespace and name select reports unless
	// they are empty.
	ListReports(ctx context.Context, namespace, name string, before uuid.UUID, limit int) ([]report.Heading, error)
}

// Permissions checks what ServiceAccounts may read.
type Permissions interface {
	// Allow returns nil if the token's account may use the verb on reports of a namespace. remote is the client's address.
	// Its errors are those of the server's ServiceAccounts.
	Allow(ctx context.Context, remote, token, verb, namespace string) error
}

// Options configures an API. All fields are required.
type Options struct {
	Measurements Measurements
	Reports      Reports
	Permissions  Permissions            // not used if the only callers are administrators
	Currency     func() report.Currency // returns the currency of costs, with the rates in force
	Now          func() time.Time
	Random       io.Reader // for ids
}

// API serves the routes.
type API struct {
	Options

	computing endpoint.Gate
}

// New returns an API.
func New(opts Options) *API {
	return &API{opts, endpoint.NewGate(maxComputations)}
}

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Post("/api/reports", endpoint.Reporter, endpoint.RecordedWithin(CreateWithin, http.StatusCreated, readNewReport, a.createReport, reportCreated)),
		endpoint.Get("/api/reports", endpoint.Reporter, endpoint.Typed(http.StatusOK, readReportQuery, a.listReports)),
		endpoint.Get("/api/reports/{report_id}", endpoint.Reporter, endpoint.Typed(http.StatusOK, readReportID, a.getReport)),
	}
}

func reportCreated(wanted newReport, _ endpoint.Content) endpoint.Event {
	if wanted.namespace == "" { // from an administrator
		return endpoint.NewEvent("report.created")
	}
	return endpoint.NewEvent("report.created", zap.String("namespace", wanted.namespace))
}

// mayGet is the Kubernetes verb that a ServiceAccount needs to read reports.
const mayGet = "get"

// checkVisible returns nil if the caller may see a namespace's reports. An admin, whose account is nil, may see all.
func (a *API) checkVisible(ctx context.Context, account *endpoint.ServiceAccount, namespace string) error {
	if account == nil {
		return nil
	}
	return a.Permissions.Allow(ctx, account.Remote, account.Token, mayGet, namespace)
}

// isForbidden reports whether the error is a missing permission, as opposed to a failure to check it.
func isForbidden(err error) bool {
	var problem *fault.Error
	return errors.As(err, &problem) && problem.Kind == fault.Forbidden
}
