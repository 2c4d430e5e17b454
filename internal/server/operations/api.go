// Package operations has the routes about the installation itself.
package operations

import (
	"context"
	"net/http"

	"github.com/watchbill/watchbill/internal/alerts"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Alerts reads which alerts are active.
type Alerts interface {
	// Active returns the active alerts. It does not query the database.
	Active(ctx context.Context) (alerts.Snapshot, error)
}

// Options configures an API. All fields are required.
type Options struct {
	Alerts Alerts
}

// API serves the routes.
type API struct {
	Options
}

// New returns an API.
func New(opts Options) *API { return &API{opts} }

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Get("/api/admin/alerts", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadNoQuery, a.getAlerts)),
	}
}
