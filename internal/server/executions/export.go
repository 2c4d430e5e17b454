package executions

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const (
	exportBatch     = 500             // executions sent at a time
	exportAllWithin = 5 * time.Minute // the deadline of an export
	maxExports      = 2               // exports under way at a time
)

var errExportsBusy = problem.New(http.StatusTooManyRequests, "busy", "", "%d exports are under way already; try again later", maxExports)

// exportExecutions sends executions as they are read. Nothing is held in memory but a batch, and no transaction is open
// while the client reads. The first batch is read before the status is sent, so that a failure is reported as usual; if
// a later one fails, the connection is closed without a proper end of the response.
func (a *API) exportExecutions(x *endpoint.Exchange, req searchQuery) error {
	if !a.Exporting.TryEnter() {
		return errExportsBusy
	}
	defer a.Exporting.Leave()
	ctx, cancel := context.WithTimeout(x.Request.Context(), exportAllWithin)
	defer cancel()
	e := exportWriter{x: x, shown: a.Currency, format: req.format}
	sent, began := 0, false
	defer func() {
		if sent > 0 {
			x.Record(endpoint.NewEvent("executions.exported", zap.String("format", req.format), zap.Int("executions", sent)))
		}
	}()
	for {
		_ = x.ExtendDeadlines(endpoint.ResponseTimeout) // if unsupported, the server's timeouts apply
		found, err := a.searchInTurn(ctx, x, req.search, req.after, min(req.limit-sent, exportBatch))
		switch {
		case err != nil && !began:
			return err
		case err != nil:
			x.Abandon() // the client must not take what it has for everything
			return nil
		}
		if !began {
			began = true
			e.begin()
			if x.Request.Method == http.MethodHead {
				return nil // nobody reads the rest
			}
		}
		sent += len(found.Executions) // what the client may have
		if !e.write(found.Executions) {
			x.Abandon()
			return nil
		}
		if sent >= req.limit || found.End == (execution.Position{}) {
			return nil
		}
		req.after = found.End
	}
}

// exportWriter encodes executions.
type exportWriter struct {
	x      *endpoint.Exchange
	shown  DisplayCurrency
	format string
	buffer bytes.Buffer
}

// begin sends the response's header, and a CSV's.
func (e *exportWriter) begin() {
	header := e.x.Header()
	header.Set("Content-Type", "application/x-ndjson")
	if e.format == formatCSV {
		header.Set("Content-Type", "text/csv; charset=utf-8; header=present")
		header.Set("Content-Disposition", `attachment; filename="executions.csv"`)
		e.line(exportColumns)
	}
	e.x.WriteHeader(http.StatusOK)
}

// write sends executions. It reports whether the client is still there.
func (e *exportWriter) write(executions []execution.Execution) bool {
	for i := range executions {
		one := executionSummaryOf(&executions[i], e.shown)
		if e.format == formatCSV {
			e.line(recordOf(&one))
			continue
		}
		if err := json.MarshalWrite(&e.buffer, one, json.Deterministic(true)); err != nil {
			return false
		}
		e.buffer.WriteByte('\n')
	}
	if e.buffer.Len() == 0 {
		return true
	}
	control := http.NewResponseController(e.x.ResponseWriter)
	_ = control.SetWriteDeadline(e.x.Shared.Now().Add(endpoint.ProgressWithin)) // if unsupported, the server's timeout applies
	_, err := e.x.Write(e.buffer.Bytes())
	e.buffer.Reset()
	return err == nil && control.Flush() == nil
}

// line appends a line of CSV. Writing to memory cannot fail.
func (e *exportWriter) line(fields []string) {
	w := csv.NewWriter(&e.buffer)
	w.UseCRLF = true
	_ = w.Write(fields)
	w.Flush()
}

var exportColumns = []string{
	"created_at", "execution_id", "user_id", "session_id", "request_id", "agent_name", "kind", "status", "execution_time_ms", "provider",
	"model_used", "tokens_used", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd",
	"price_version", "usage", "provider_cost_usd", "trace_id", "span_id", "parent_span_id", "variant", "error_message",
}

// recordOf returns the fields of exportColumns. Texts that clients choose are made inert.
func recordOf(e *openapi.ExecutionSummary) []string {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	amount := func(usd *openapi.USD) string {
		if usd == nil {
			return ""
		}
		return usd.String()
	}
	return []string{
		e.CreatedAt.Format(time.RFC3339Nano), inert(e.ExecutionID), inert(e.UserID), inert(endpoint.Deref(e.SessionID)), inert(endpoint.Deref(e.RequestID)),
		inert(e.AgentName), string(e.Kind), string(e.Status), strconv.FormatFloat(e.ExecutionTimeMs, 'f', -1, 64), inert(e.Provider),
		inert(endpoint.Deref(e.ModelUsed)), count(e.TokensUsed), count(e.InputTokens), count(e.OutputTokens), count(e.CacheReadTokens),
		count(e.CacheWriteTokens), count(e.ReasoningTokens), amount(e.CostUSD),
		inert(e.PriceVersion), string(e.Usage), amount(e.ProviderCostUSD), inert(e.TraceID), inert(e.SpanID), inert(e.ParentSpanID),
		inert(e.Variant), inert(endpoint.Deref(e.ErrorMessage)),
	}
}

// inert escapes a text that spreadsheets would evaluate as a formula
// (https://owasp.org/www-community/attacks/CSV_Injection). It also escapes within the text where a spreadsheet may begin
// another cell: one that is set to separate cells by semicolons or tabs takes no notice of the quotes of this field.
func inert(field string) string {
	if !strings.ContainsAny(field, formulaStarts) {
		return field
	}
	var safe strings.Builder
	begins := true // no visible character of the cell has been seen
	for _, r := range field {
		switch {
		case strings.ContainsRune(cellEnds, r):
			begins = true
		case begins && strings.ContainsRune(formulaStarts, r):
			safe.WriteByte('\'')
			begins = false
		default:
			begins = begins && (r == '"' || unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf))
		}
		safe.WriteRune(r)
	}
	return safe.String()
}

const (
	formulaStarts = "=+-@＝＋－＠"
	cellEnds      = ";,\t\r\n"
)
