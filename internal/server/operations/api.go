// Package operations has the routes about the installation itself.
package operations

import (
	"context"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/alerts"
	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Alerts reads which alerts are active.
type Alerts interface {
	// Active returns the active alerts. It does not query the database.
	Active(ctx context.Context) (alerts.Snapshot, error)
}

// Replicas lists the replicas.
type Replicas interface {
	// List returns the replicas of the last day, those that run first.
	List(ctx context.Context) ([]health.Replica, error)
}

// Database reports how the database is used.
type Database interface {
	Usage(ctx context.Context) (health.Usage, error)
}

// Options configures an API. All fields are required.
type Options struct {
	Alerts   Alerts
	Replicas Replicas
	Replica  string // the name of this replica
	Database Database
	Now      func() time.Time
}

// API serves the routes.
type API struct {
	Options

	reading endpoint.Gate // admits one reader of usage at a time
	usage   openapi.DatabaseUsage
}

// New returns an API.
func New(opts Options) *API { return &API{Options: opts, reading: endpoint.NewGate(1)} }

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Get("/api/admin/alerts", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadNoQuery, a.getAlerts)),
		endpoint.Get("/api/admin/replicas", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadNoQuery, a.listReplicas)),
		endpoint.Get("/api/admin/database", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadNoQuery, a.getDatabase)),
	}
}
