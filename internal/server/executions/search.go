package executions

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/text"
)

// Search finds executions.
type Search interface {
	// Search returns up to limit executions after a position, newest first, and reads at most candidates.
	Search(ctx context.Context, search execution.Search, after execution.Position, limit, candidates int) (execution.Found, error)
	// Execution returns the newest execution with an id, with its payloads. userID and at select one of several unless
	// they are zero.
	Execution(ctx context.Context, id, userID string, at time.Time) (found execution.Execution, ok bool, err error)
	// Trace returns up to limit executions of a trace, the earliest ones.
	Trace(ctx context.Context, traceID string, limit int) (execution.Trace, error)
}

const (
	maxErrorFilter   = 256 // bytes
	maxDuration      = 30 * 24 * time.Hour
	maxErrorShown    = 1024 // bytes of an error message in a list
	formatJSON       = "json"
	formatCSV        = "csv"
	formatNDJSON     = "ndjson"
	defaultExport    = 10_000    // executions
	maxExport        = 1_000_000 // executions
	defaultListLimit = 50
	maxListLimit     = 500
)

// failedStatus selects both failures and timeouts.
const failedStatus execution.Status = "failed"

// searchQuery is a request for a list of executions.
type searchQuery struct {
	list   input.List
	search execution.Search
	after  execution.Position
	limit  int
	format string
}

func readSearch(x *endpoint.Exchange) (searchQuery, error) {
	q := x.Query()
	req := searchQuery{format: input.OneOf(&q, "format", formatJSON, formatCSV, formatNDJSON)}
	if req.format == "" {
		req.format = formatOf(x.Request.Header.Values("Accept"))
	}
	most, otherwise := int64(maxListLimit), int64(defaultListLimit)
	if req.format != formatJSON {
		most, otherwise = maxExport, defaultExport
	}
	req.limit = int(q.Integer("limit", otherwise, 1, most))
	filters := filtersOf(x)
	req.search = searchOf(&q, x.Shared.Now())
	cursor, given := q.Text("cursor")
	if given && req.format != formatJSON {
		q.Fault("invalid_parameter", "cursor", "is only for JSON: an export has no pages")
	}
	if err := q.Done(); err != nil {
		return req, err
	}
	req.list = input.NewList("executions", filters...)
	var err error
	req.after, err = positionOf(req.list, cursor, given)
	return req, err
}

// formatOf returns the first format that an Accept header names, by default JSON.
func formatOf(accept []string) string {
	for _, mediaType := range strings.Split(strings.Join(accept, ","), ",") {
		mediaType, _, _ = strings.Cut(mediaType, ";")
		switch strings.ToLower(strings.TrimSpace(mediaType)) {
		case "text/csv":
			return formatCSV
		case "application/x-ndjson":
			return formatNDJSON
		case "application/json":
			return formatJSON
		}
	}
	return formatJSON
}

// searchFilters are the parameters of a search that a cursor depends on.
var searchFilters = []string{
	"agent", "model", "user_id", "session_id", "trace_id", "execution_id", "status", "kind", "error",
	"min_duration_ms", "max_duration_ms", "min_cost_usd", "max_cost_usd", "from", "to",
}

// filtersOf returns the filters that are given as they came. A cursor is valid for exactly these.
func filtersOf(x *endpoint.Exchange) []string {
	var given []string
	all := x.Request.URL.Query()
	for _, name := range searchFilters {
		if values := all[name]; len(values) > 0 {
			given = append(given, name+"="+strconv.Quote(values[0]))
		}
	}
	return given
}

// searchOf reads the filters.
func searchOf(q *input.Query, now time.Time) execution.Search {
	search := execution.Search{
		Agent: q.Name("agent", execution.MaxName), Model: q.Name("model", execution.MaxName),
		ID: q.Name("execution_id", execution.MaxID), TraceID: traceID(q, "trace_id"),
		Kind: input.OneOf(q, "kind", execution.Agent, execution.Inference, execution.Tool), Error: q.Name("error", maxErrorFilter),
		MinDuration: q.Milliseconds("min_duration_ms", maxDuration), MaxDuration: q.Milliseconds("max_duration_ms", maxDuration),
		MinCost: q.NanoUSD("min_cost_usd"), MaxCost: q.NanoUSD("max_cost_usd"),
	}
	if session := q.Name("session_id", execution.MaxUser); session != "" {
		search.SessionIDs = []string{session}
	}
	if user := q.Name("user_id", execution.MaxUser); user != "" {
		search.UserIDs = []string{user}
	}
	switch status := input.OneOf(q, "status", execution.Success, execution.Failure, execution.Timeout, failedStatus); status {
	case "":
	case failedStatus:
		search.Statuses = []execution.Status{execution.Failure, execution.Timeout}
	default:
		search.Statuses = []execution.Status{status}
	}
	if low, high := search.MinDuration, search.MaxDuration; low != nil && high != nil && *low > *high {
		q.Fault("invalid_parameter", "max_duration_ms", "must not be less than min_duration_ms")
	}
	if low, high := search.MinCost, search.MaxCost; low != nil && high != nil && *low > *high {
		q.Fault("invalid_parameter", "max_cost_usd", "must not be less than min_cost_usd")
	}
	search.From, search.To = q.Within()
	if search.From.After(now.Add(execution.DayWide)) {
		q.Fault("invalid_parameter", "from", "must not be in the future")
	}
	return search
}

// traceID reads a trace's id and returns it in lower case.
func traceID(q *input.Query, name string) string {
	text, given := q.Text(name)
	if !given {
		return ""
	}
	text = strings.ToLower(text)
	if len(text) != 32 || strings.Trim(text, "0123456789abcdef") != "" {
		q.Fault("invalid_parameter", name, "must be 32 hexadecimal digits")
	}
	return text
}

// listExecutions serves GET /api/admin/executions: one page, or an export. Reading a page takes the turn of a read, so
// that an export does not keep one while its client reads.
func (a *API) listExecutions(x *endpoint.Exchange) error {
	req, err := readSearch(x)
	if err != nil {
		return err
	}
	for _, user := range req.search.UserIDs {
		x.Record(endpoint.NewEvent("user_data.read", zap.String(endpoint.UserFingerprint, user)))
	}
	if req.format != formatJSON {
		return a.exportExecutions(x, req)
	}
	return endpoint.Typed(http.StatusOK, func(*endpoint.Exchange) (searchQuery, error) { return req, nil },
		func(ctx context.Context, req searchQuery) (openapi.ExecutionSummaryList, error) {
			found, err := a.searchInTurn(ctx, x, req.search, req.after, req.limit)
			if err != nil {
				return openapi.ExecutionSummaryList{}, err
			}
			page := openapi.ExecutionSummaryList{Status: succeeded, Executions: make([]openapi.ExecutionSummary, len(found.Executions))}
			for i := range found.Executions {
				page.Executions[i] = executionSummaryOf(&found.Executions[i], a.Currency)
			}
			page.SearchedTo = req.search.From
			if page.SearchedTo.IsZero() {
				page.SearchedTo = time.Unix(0, 0).UTC()
			}
			if found.End != (execution.Position{}) {
				page.NextCursor = cursorAfter(req.list, found.End)
				page.SearchedTo = time.UnixMicro(found.End.CreatedAt).UTC()
			}
			return page, nil
		})(x)
}

// searchInTurn reads a page once it is its turn.
func (a *API) searchInTurn(
	ctx context.Context, x *endpoint.Exchange, search execution.Search, after execution.Position, limit int,
) (execution.Found, error) {
	leave, err := a.EnterRead(x)
	if err != nil {
		return execution.Found{}, err
	}
	defer leave()
	return a.Store.Search(ctx, search, after, limit, execution.MaxCandidates)
}

func executionSummaryOf(e *execution.Execution, shown DisplayCurrency) openapi.ExecutionSummary {
	whole := executionOf(*e, shown)
	return openapi.ExecutionSummary{
		CreatedAt: whole.CreatedAt, ExecutionID: whole.ExecutionID, UserID: whole.UserID, SessionID: whole.SessionID, RequestID: whole.RequestID,
		AgentName: whole.AgentName, Kind: whole.Kind, Status: whole.Status, ExecutionTimeMs: whole.ExecutionTimeMs, ModelUsed: whole.ModelUsed,
		TokensUsed: whole.TokensUsed, CostUSD: whole.CostUSD, ErrorMessage: endpoint.UnlessEmpty(text.Clip(e.ErrorMessage, maxErrorShown)),
		CacheReadTokens: whole.CacheReadTokens, CacheWriteTokens: whole.CacheWriteTokens, Cost: whole.Cost, Currency: whole.Currency,
		InputTokens: whole.InputTokens, OutputTokens: whole.OutputTokens, ParentSpanID: whole.ParentSpanID, PriceVersion: whole.PriceVersion,
		Provider: whole.Provider, ProviderCostUSD: whole.ProviderCostUSD, RateDate: whole.RateDate, ReasoningTokens: whole.ReasoningTokens,
		SpanID: whole.SpanID, TraceID: whole.TraceID, Usage: whole.Usage, Variant: whole.Variant,
	}
}
