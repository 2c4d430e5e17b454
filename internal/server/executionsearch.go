package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/text"
)

// ExecutionSearch finds executions.
type ExecutionSearch interface {
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
	list   list
	search execution.Search
	after  execution.Position
	limit  int
	format string
}

func readSearch(x *exchange) (searchQuery, error) {
	q := x.query()
	req := searchQuery{format: oneOf(&q, "format", formatJSON, formatCSV, formatNDJSON)}
	if req.format == "" {
		req.format = formatOf(x.r.Header.Values("Accept"))
	}
	most, otherwise := int64(maxListLimit), int64(defaultListLimit)
	if req.format != formatJSON {
		most, otherwise = maxExport, defaultExport
	}
	req.limit = int(q.integer("limit", otherwise, 1, most))
	filters := q.filters()
	req.search = q.search(x.now())
	cursor, given := q.text("cursor")
	if given && req.format != formatJSON {
		q.fault("invalid_parameter", "cursor", "is only for JSON: an export has no pages")
	}
	if err := q.done(); err != nil {
		return req, err
	}
	req.list = list{"executions", filters}
	var err error
	req.after, err = req.list.afterExecution(cursor, given)
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

// filters returns the filters that are given as they came. A cursor is valid for exactly these.
func (q *query) filters() []string {
	var given []string
	for _, name := range searchFilters {
		if values := q.values[name]; len(values) > 0 {
			given = append(given, name+"="+strconv.Quote(values[0]))
		}
	}
	return given
}

// search reads the filters.
func (q *query) search(now time.Time) execution.Search {
	search := execution.Search{
		Agent: q.name("agent", execution.MaxName), Model: q.name("model", execution.MaxName), SessionID: q.name("session_id", execution.MaxUser),
		ID: q.name("execution_id", execution.MaxID), TraceID: q.traceID("trace_id"),
		Kind: oneOf(q, "kind", execution.Agent, execution.Inference, execution.Tool), Error: q.name("error", maxErrorFilter),
		MinDuration: q.milliseconds("min_duration_ms", maxDuration), MaxDuration: q.milliseconds("max_duration_ms", maxDuration),
		MinCost: q.nanoUSD("min_cost_usd"), MaxCost: q.nanoUSD("max_cost_usd"),
	}
	if user := q.name("user_id", execution.MaxUser); user != "" {
		search.UserIDs = []string{user}
	}
	switch status := oneOf(q, "status", execution.Success, execution.Failure, execution.Timeout, failedStatus); status {
	case "":
	case failedStatus:
		search.Statuses = []execution.Status{execution.Failure, execution.Timeout}
	default:
		search.Statuses = []execution.Status{status}
	}
	if low, high := search.MinDuration, search.MaxDuration; low != nil && high != nil && *low > *high {
		q.fault("invalid_parameter", "max_duration_ms", "must not be less than min_duration_ms")
	}
	if low, high := search.MinCost, search.MaxCost; low != nil && high != nil && *low > *high {
		q.fault("invalid_parameter", "max_cost_usd", "must not be less than min_cost_usd")
	}
	search.From, search.To = q.within()
	if search.From.After(now.Add(execution.DayWide)) {
		q.fault("invalid_parameter", "from", "must not be in the future")
	}
	return search
}

// traceID reads a trace's id and returns it in lower case.
func (q *query) traceID(name string) string {
	text, given := q.text(name)
	if !given {
		return ""
	}
	text = strings.ToLower(text)
	if len(text) != 32 || strings.Trim(text, "0123456789abcdef") != "" {
		q.fault("invalid_parameter", name, "must be 32 hexadecimal digits")
	}
	return text
}

// listExecutions serves GET /api/admin/executions: one page, or an export. Reading a page takes the turn of a read, so
// that an export does not keep one while its client reads.
func (s *Server) listExecutions(x *exchange) error {
	req, err := readSearch(x)
	if err != nil {
		return err
	}
	for _, user := range req.search.UserIDs {
		s.record(x, event{"user_data.read", []zap.Field{zap.String(userFingerprint, user)}})
	}
	if req.format != formatJSON {
		return s.exportExecutions(x, req)
	}
	return typed(http.StatusOK, func(*exchange) (searchQuery, error) { return req, nil },
		func(s *Server, ctx context.Context, req searchQuery) (openapi.ExecutionSummaryList, error) {
			found, err := s.searchInTurn(ctx, x, req.search, req.after, req.limit)
			if err != nil {
				return openapi.ExecutionSummaryList{}, err
			}
			page := openapi.ExecutionSummaryList{Status: succeeded, Executions: make([]openapi.ExecutionSummary, len(found.Executions))}
			for i := range found.Executions {
				page.Executions[i] = executionSummaryOf(&found.Executions[i], s.currency)
			}
			page.SearchedTo = req.search.From
			if page.SearchedTo.IsZero() {
				page.SearchedTo = time.Unix(0, 0).UTC()
			}
			if found.End != (execution.Position{}) {
				page.NextCursor = req.list.cursorAfterExecution(found.End)
				page.SearchedTo = time.UnixMicro(found.End.CreatedAt).UTC()
			}
			return page, nil
		})(s, x)
}

// searchInTurn reads a page once it is its turn.
func (s *Server) searchInTurn(
	ctx context.Context, x *exchange, search execution.Search, after execution.Position, limit int,
) (execution.Found, error) {
	if err := s.enterReads(x); err != nil {
		return execution.Found{}, err
	}
	defer s.adminReads.leave()
	return s.executions.Search(ctx, search, after, limit, execution.MaxCandidates)
}

func executionSummaryOf(e *execution.Execution, shown DisplayCurrency) openapi.ExecutionSummary {
	whole := executionOf(*e, shown)
	return openapi.ExecutionSummary{
		CreatedAt: whole.CreatedAt, ExecutionID: whole.ExecutionID, UserID: whole.UserID, SessionID: whole.SessionID, RequestID: whole.RequestID,
		AgentName: whole.AgentName, Kind: whole.Kind, Status: whole.Status, ExecutionTimeMs: whole.ExecutionTimeMs, ModelUsed: whole.ModelUsed,
		TokensUsed: whole.TokensUsed, CostUSD: whole.CostUSD, ErrorMessage: unlessEmpty(text.Clip(e.ErrorMessage, maxErrorShown)),
		CacheReadTokens: whole.CacheReadTokens, CacheWriteTokens: whole.CacheWriteTokens, Cost: whole.Cost, Currency: whole.Currency,
		InputTokens: whole.InputTokens, OutputTokens: whole.OutputTokens, ParentSpanID: whole.ParentSpanID, PriceVersion: whole.PriceVersion,
		Provider: whole.Provider, ProviderCostUSD: whole.ProviderCostUSD, RateDate: whole.RateDate, ReasoningTokens: whole.ReasoningTokens,
		SpanID: whole.SpanID, TraceID: whole.TraceID, Usage: whole.Usage, Variant: whole.Variant,
	}
}
