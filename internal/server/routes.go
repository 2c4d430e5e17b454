package server

import (
	"net/http"

	"github.com/watchbill/watchbill/internal/report"
)

// route is one operation of the API. A test compares the table with the OpenAPI document.
type route struct {
	method  string
	pattern string
	access  access
	serve   handler
}

var routes = []route{
	{"POST", "/api/agents", enroller, limitedEnrollment(recorded(http.StatusCreated, readEnrollment, (*Server).enrollAgent, agentEnrolled))},
	{"GET", "/api/agents", admin, typed(http.StatusOK, readAgentQuery, (*Server).listAgents)},
	{"GET", "/api/agents/{agent_id}", admin, typed(http.StatusOK, readAgentID, (*Server).getAgent)},
	{"DELETE", "/api/agents/{agent_id}", admin, recorded(http.StatusNoContent, readAgentID, (*Server).deleteAgent, agentDeleted)},
	{"POST", "/api/agents/{agent_id}/token", admin, recorded(http.StatusOK, readAgentAction, (*Server).rotateAgentToken, agentTokenRotated)},

	{"POST", "/api/deployments", admin, recorded(http.StatusCreated, readOrder, (*Server).createDeployments, deploymentCreated)},
	{"GET", "/api/deployments", admin, typed(http.StatusOK, readDeploymentQuery, (*Server).listDeployments)},
	{"GET", "/api/deployments/{deployment_id}", admin, typed(http.StatusOK, readDeploymentID, (*Server).getDeployment)},
	{"POST", "/api/deployments/{deployment_id}/cancel", admin, recorded(http.StatusOK, readDeploymentAction, (*Server).cancelDeployment, deploymentCancelled)},
	{"GET", "/api/deployment-groups/{group_id}", admin, typed(http.StatusOK, readGroupID, (*Server).getGroup)},
	{"POST", "/api/deployment-groups/{group_id}/cancel", admin, recorded(http.StatusOK, readGroupAction, (*Server).cancelGroup, groupCancelled)},

	{report.PendingMethod, report.PendingRoute, agentOrAdmin, (*Server).poll},
	{"POST", "/api/deployments/{deployment_id}/status", agentOnly, typed(http.StatusOK, readStatusReport, (*Server).reportStatus)},
	{"POST", "/api/deployments/{deployment_id}/logs", agentOnly, typed(http.StatusOK, readLogChunk, (*Server).appendLog)},
	{"GET", "/api/deployments/{deployment_id}/logs", agentOrAdmin, typed(http.StatusOK, readLogQuery, (*Server).readLog)},

	{"GET", "/api/health", prober, typed(http.StatusOK, readNothing, (*Server).getHealth)},
	{"GET", "/livez", prober, typed(http.StatusOK, readNothing, (*Server).getLivez)},
	{"GET", "/readyz", prober, typed(http.StatusOK, readNothing, (*Server).getReadyz)},
	{"GET", "/api/metrics", everyone, typed(http.StatusOK, readMeteredHours, (*Server).getMetrics)},
	{"GET", "/api/metrics/series", everyone, typed(http.StatusOK, readTrafficSeries, (*Server).getMetricsSeries)},
	{"GET", "/api/metrics/pending-deployments", everyone, typed(http.StatusOK, readMeteredHours, (*Server).getPendingMetrics)},
	{"GET", "/api/openapi.yaml", everyone, (*Server).getOpenAPI},

	{"POST", "/api/executions", ingester, (*Server).recordExecutions},
	{"POST", "/api/ai/process-stream", ingester, (*Server).processStream},
	{"POST", "/v1/traces", exporter, (*Server).exportTraces},
	{"POST", "/v1/metrics", exporter, signalNotTaken("metrics", "OTEL_METRICS_EXPORTER")},
	{"POST", "/v1/logs", exporter, (*Server).exportLogs},

	{"GET", "/api/admin/metrics", admin, typed(http.StatusOK, readHours, (*Server).getExecutionMetrics)},
	{"GET", "/api/admin/metrics/series", admin, typed(http.StatusOK, readExecutionSeries, (*Server).getExecutionSeries)},
	{"GET", "/api/admin/errors", admin, typed(http.StatusOK, readErrorQuery, (*Server).listExecutionErrors)},
	{"GET", "/api/admin/user-activity/{user_id}", admin, recorded(http.StatusOK, readActivityQuery, (*Server).listUserActivity, userDataRead)},
	{"GET", "/api/admin/costs", admin, typed(http.StatusOK, readCostQuery, (*Server).getCosts)},
	{"GET", "/api/admin/users", admin, typed(http.StatusOK, readUserQuery, (*Server).listUsers)},
	{"GET", "/api/admin/adoption", admin, typed(http.StatusOK, readWeeks, (*Server).getAdoption)},
	{"GET", "/api/events", admin, typed(http.StatusOK, readEventQuery, (*Server).listEvents)},
	{"DELETE", "/api/admin/users/{user_id}", admin, recordedWithin(eraseWithin, http.StatusOK, readUserID, (*Server).eraseUser, userErased)},

	{"GET", "/api/admin/executions", admin, (*Server).listExecutions},
	{"GET", "/api/admin/executions/{execution_id}", admin, recorded(http.StatusOK, readExecutionKey, (*Server).getExecution, executionRead)},

	{"GET", "/api/admin/names", admin, typed(http.StatusOK, readNothingElse, (*Server).listNames)},
	{"DELETE", "/api/admin/names/agent/{name}", admin, typed(http.StatusNoContent, readName, (*Server).dropAgentName)},
	{"DELETE", "/api/admin/names/model/{name}", admin, typed(http.StatusNoContent, readName, (*Server).dropModelName)},

	{"POST", "/api/reports", reporter, recordedWithin(reportWithin, http.StatusCreated, readNewReport, (*Server).createReport, reportCreated)},
	{"GET", "/api/reports", reporter, typed(http.StatusOK, readReportQuery, (*Server).listReports)},
	{"GET", "/api/reports/{report_id}", reporter, typed(http.StatusOK, readReportID, (*Server).getReport)},
}

// RouteName names a route as in the metrics.
type RouteName struct{ Method, Pattern string }

// Routes returns the names of all routes.
func Routes() []RouteName {
	names := make([]RouteName, len(routes))
	for i, r := range routes {
		names[i] = RouteName{r.method, r.pattern}
	}
	return names
}
