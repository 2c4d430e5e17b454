package server

import (
	"net/http"
	"slices"

	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// routes returns the routes of the API. The Server may be the zero value.
func (s *Server) routes() []endpoint.Route {
	return slices.Concat(s.fleet.Routes(), s.ingest.Routes(), []endpoint.Route{
		endpoint.Get("/api/health", endpoint.Prober, endpoint.Typed(http.StatusOK, endpoint.ReadNothing, s.getHealth)),
		endpoint.Get("/livez", endpoint.Prober, endpoint.Typed(http.StatusOK, endpoint.ReadNothing, s.getLivez)),
		endpoint.Get("/readyz", endpoint.Prober, endpoint.Typed(http.StatusOK, endpoint.ReadNothing, s.getReadyz)),
		endpoint.Get("/api/metrics", endpoint.Everyone, endpoint.Typed(http.StatusOK, readMeteredHours, s.getMetrics)),
		endpoint.Get("/api/metrics/pending-deployments", endpoint.Everyone, endpoint.Typed(http.StatusOK, readMeteredHours, s.getPendingMetrics)),
		endpoint.Get("/api/openapi.yaml", endpoint.Everyone, s.getOpenAPI),

		endpoint.Get("/api/admin/metrics", endpoint.Admin, endpoint.Typed(http.StatusOK, readHours, s.getExecutionMetrics)),
		endpoint.Get("/api/admin/errors", endpoint.Admin, endpoint.Typed(http.StatusOK, readErrorQuery, s.listExecutionErrors)),
		endpoint.Get("/api/admin/user-activity/{user_id}", endpoint.Admin, endpoint.Recorded(http.StatusOK, readActivityQuery, s.listUserActivity, userDataRead)),
		endpoint.Get("/api/admin/costs", endpoint.Admin, endpoint.Typed(http.StatusOK, readCostQuery, s.getCosts)),
		endpoint.Delete("/api/admin/users/{user_id}", endpoint.Admin, endpoint.RecordedWithin(eraseWithin, http.StatusOK, readUserID, s.eraseUser, userErased)),

		endpoint.Get("/api/admin/names", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadNoQuery, s.listNames)),
		endpoint.Delete("/api/admin/names/agent/{name}", endpoint.Admin, endpoint.Typed(http.StatusNoContent, readName, s.dropAgentName)),
		endpoint.Delete("/api/admin/names/model/{name}", endpoint.Admin, endpoint.Typed(http.StatusNoContent, readName, s.dropModelName)),

		endpoint.Post("/api/reports", endpoint.Reporter, endpoint.RecordedWithin(reportWithin, http.StatusCreated, readNewReport, s.createReport, reportCreated)),
		endpoint.Get("/api/reports", endpoint.Reporter, endpoint.Typed(http.StatusOK, readReportQuery, s.listReports)),
		endpoint.Get("/api/reports/{report_id}", endpoint.Reporter, endpoint.Typed(http.StatusOK, readReportID, s.getReport)),
	})
}

// routes are the routes, for their names and access.
var routes = (&Server{}).routes()

// RouteName names a route as in the metrics.
type RouteName struct{ Method, Pattern string }

// Routes returns the names of all routes.
func Routes() []RouteName {
	names := make([]RouteName, len(routes))
	for i, r := range routes {
		names[i] = RouteName{r.Method, r.Pattern}
	}
	return names
}
