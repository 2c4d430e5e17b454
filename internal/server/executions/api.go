// Package executions has the routes by which administrators read executions: metrics, costs, errors and users' activity.
package executions

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// Store reads executions: Errors and UserActivity from rows, the others from rollups.
type Store interface {
	// Facts returns the totals of a window's executions. The returned window is widened to whole rollup periods.
	Facts(ctx context.Context, window execution.Window) (execution.Facts, error)
	Costs(ctx context.Context, query execution.CostQuery) (execution.Costs, error)
	// Errors returns up to limit executions that failed or timed out, newest first, after a position.
	Errors(ctx context.Context, after execution.Position, limit int) ([]execution.Execution, error)
	// UserActivity returns up to limit executions of a user, newest first, after a position. It reads as that user,
	// under row-level security.
	UserActivity(ctx context.Context, userID string, after execution.Position, limit int) ([]execution.Execution, error)
	// EraseUser deletes everything stored about a user. If it fails midway, what it deleted stays deleted; it may be
	// repeated.
	EraseUser(ctx context.Context, userID string) (execution.Erased, error)
	// Names lists the names that figures distinguish, and returns the limit of names of a kind.
	Names(ctx context.Context) (names []execution.Name, limit int, err error)
	// DropName frees a name's slot and reports whether it had one.
	DropName(ctx context.Context, kind, name string) (dropped bool, err error)
	Series(ctx context.Context, query execution.SeriesQuery) (execution.SeriesSet, error)
	Search
	Users
}

// Options configures an API. All fields are required.
type Options struct {
	Store    Store
	Currency DisplayCurrency // the zero value for none
	// Computing limits how many metrics and costs are computed at a time.
	Computing endpoint.Gate
	Now       func() time.Time
	// EnterRead waits for the turn of a read, which leave ends.
	EnterRead func(x *endpoint.Exchange) (leave func(), err error)
	// PriceOf returns the price of an execution in the price list in force. It may be nil.
	PriceOf func(*execution.Execution) (price execution.AppliedPrice, ok bool)
	// Prices returns the prices in force.
	Prices func() *prices.List
}

// API serves the routes.
type API struct {
	Options

	Exporting endpoint.Gate // exports under way
}

// New returns an API.
func New(opts Options) *API { return &API{opts, endpoint.NewGate(maxExports)} }

// Routes returns the routes. The API may be the zero value.
func (a *API) Routes() []endpoint.Route {
	return []endpoint.Route{
		endpoint.Get("/api/admin/metrics", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadSpan, a.getExecutionMetrics)),
		endpoint.Get("/api/admin/metrics/series", endpoint.Admin, endpoint.Typed(http.StatusOK, readExecutionSeries, a.getExecutionSeries)),
		endpoint.Get("/api/admin/executions", endpoint.Admin, a.listExecutions),
		endpoint.Get("/api/admin/executions/{execution_id}", endpoint.Admin, endpoint.Recorded(http.StatusOK, readExecutionKey, a.getExecution, executionRead)),
		endpoint.Get("/api/admin/users", endpoint.Admin, endpoint.Typed(http.StatusOK, readUserQuery, a.listUsers)),
		endpoint.Get("/api/admin/adoption", endpoint.Admin, endpoint.Typed(http.StatusOK, readWeeks, a.getAdoption)),
		endpoint.Get("/api/admin/errors", endpoint.Admin, endpoint.Typed(http.StatusOK, readErrorQuery, a.listExecutionErrors)),
		endpoint.Get("/api/admin/user-activity/{user_id}", endpoint.Admin, endpoint.Recorded(http.StatusOK, readActivityQuery, a.listUserActivity, userDataRead)),
		endpoint.Get("/api/admin/costs", endpoint.Admin, endpoint.Typed(http.StatusOK, readCostQuery, a.getCosts)),
		endpoint.Delete("/api/admin/users/{user_id}", endpoint.Admin, endpoint.RecordedWithin(eraseWithin, http.StatusOK, readUserID, a.eraseUser, userErased)),
		endpoint.Get("/api/admin/prices", endpoint.Admin, endpoint.Typed(http.StatusOK, a.readPriceQuery, a.listPrices)),
		endpoint.Get("/api/admin/names", endpoint.Admin, endpoint.Typed(http.StatusOK, endpoint.ReadNoQuery, a.listNames)),
		endpoint.Delete("/api/admin/names/agent/{name}", endpoint.Admin, endpoint.Typed(http.StatusNoContent, readName, a.dropAgentName)),
		endpoint.Delete("/api/admin/names/model/{name}", endpoint.Admin, endpoint.Typed(http.StatusNoContent, readName, a.dropModelName)),
	}
}

func userErased(userID string, erased openapi.ErasedUser) endpoint.Event {
	return endpoint.NewEvent("user.erased",
		zap.String(endpoint.UserFingerprint, userID), zap.Int64("executions", erased.Deleted.Executions),
	)
}

func userDataRead(q executionQuery, _ openapi.UserActivityList) endpoint.Event {
	return endpoint.NewEvent("user_data.read", zap.String(endpoint.UserFingerprint, q.userID))
}
