// Package traffic has the routes of the metrics of requests, which are open to everyone.
package traffic

import (
	"context"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Measurements reads the rollups of all replicas.
type Measurements interface {
	// Facts returns the measurements of a window. It reads only the given parts.
	Facts(ctx context.Context, window report.Window, parts report.Parts) (report.Facts, error)
}

// Options configures an API. All fields are required.
type Options struct {
	Measurements Measurements
	Series       Series
	Events       Events
	// Computing limits how many administrators' metrics are computed at a time.
	Computing endpoint.Gate
	Now       func() time.Time
}

// API serves the routes.
type API struct {
	Options

	Open    *Cache // for callers without a valid token
	Tokened *Cache // for known callers that are not administrators
}

// New returns an API.
func New(opts Options) *API {
	return &API{opts, newCache(), newCache()}
}

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Get("/api/metrics", endpoint.Everyone, endpoint.Typed(http.StatusOK, readMeteredSpan, a.getMetrics)),
		endpoint.Get("/api/metrics/series", endpoint.Everyone, endpoint.Typed(http.StatusOK, readTrafficSeries, a.getMetricsSeries)),
		endpoint.Get("/api/events", endpoint.Admin, endpoint.Typed(http.StatusOK, readEventQuery, a.listEvents)),
		endpoint.Get("/api/metrics/pending-deployments", endpoint.Everyone, endpoint.Typed(http.StatusOK, readMeteredSpan, a.getPendingMetrics)),
	}
}
