package server

import (
	"net/http"
	"slices"

	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// routes returns the routes of the API. The Server may be the zero value.
func (s *Server) routes() []endpoint.Route {
	return slices.Concat(s.fleet.Routes(), s.ingest.Routes(), s.executions.Routes(), s.reports.Routes(), s.sessions.Routes(), s.live.Routes(), s.traffic.Routes(), s.operations.Routes(), []endpoint.Route{
		endpoint.Get("/api/health", endpoint.Prober, endpoint.Typed(http.StatusOK, endpoint.ReadNothing, s.getHealth)),
		endpoint.Get("/livez", endpoint.Prober, endpoint.Typed(http.StatusOK, endpoint.ReadNothing, s.getLivez)),
		endpoint.Get("/readyz", endpoint.Prober, endpoint.Typed(http.StatusOK, endpoint.ReadNothing, s.getReadyz)),
		endpoint.Get("/api/openapi.yaml", endpoint.Everyone, s.getOpenAPI),
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
