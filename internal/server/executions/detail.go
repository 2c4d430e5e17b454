package executions

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const (
	maxTree      = 500 // executions of a trace
	maxTreeDepth = 32  // levels
)

var errNoExecution = problem.New(http.StatusNotFound, "execution_not_found", "execution_id", "there is no such execution")

// executionKey identifies an execution. Only the id is required.
type executionKey struct {
	id, userID string
	createdAt  time.Time
}

func readExecutionKey(x *endpoint.Exchange) (executionKey, error) {
	q := x.Query()
	key := executionKey{id: x.Param, userID: q.Name("user_id", execution.MaxUser), createdAt: q.Instant("created_at")}
	if len(key.id) > execution.MaxID || !utf8.ValidString(key.id) || strings.ContainsFunc(key.id, unicode.IsControl) {
		q.Fault("invalid_parameter", "execution_id", "must be at most %d bytes of UTF-8 without control characters", execution.MaxID)
	}
	return key, q.Done()
}

func (a *API) getExecution(ctx context.Context, key executionKey) (openapi.ExecutionAnswer, error) {
	e, ok, err := a.Store.Execution(ctx, key.id, key.userID, key.createdAt)
	if err != nil {
		return openapi.ExecutionAnswer{}, err
	}
	if !ok {
		return openapi.ExecutionAnswer{}, errNoExecution
	}
	response := openapi.ExecutionAnswer{Status: succeeded, Execution: executionOf(e, a.Currency), Price: a.priceApplied(&e)}
	if e.TraceID == "" {
		return response, nil
	}
	trace, err := a.Store.Trace(ctx, e.TraceID, maxTree)
	if err != nil {
		return openapi.ExecutionAnswer{}, err
	}
	include(&trace, &e)
	response.Trace = &openapi.ExecutionTrace{
		TraceID: e.TraceID, Executions: int32(len(trace.Executions)), Complete: trace.Complete, Roots: treeOf(trace, a.Currency),
	}
	return response, nil
}

// priceApplied returns the price of an execution's model in the list in force, or nil if there is none.
func (a *API) priceApplied(e *execution.Execution) *openapi.AppliedPrice {
	if a.PriceOf == nil {
		return nil
	}
	price, ok := a.PriceOf(e)
	if !ok {
		return nil
	}
	return &openapi.AppliedPrice{
		Version: price.Version, InForce: e.PriceVersion == price.Version, Model: price.Model, Provider: price.Provider, Source: price.Source,
		USDPerMillionTokens: price.Rates,
	}
}

// executionRead records whose data was read.
func executionRead(_ executionKey, response openapi.ExecutionAnswer) endpoint.Event {
	return endpoint.NewEvent("user_data.read", zap.String(endpoint.UserFingerprint, response.Execution.UserID))
}

// include makes sure that an execution is among those of its trace, of which there may be more than are read. It takes
// the place of the latest one.
func include(trace *execution.Trace, e *execution.Execution) {
	there := slices.ContainsFunc(trace.Executions, func(one execution.Execution) bool {
		return one.ID == e.ID && one.UserID == e.UserID && one.CreatedAt.Equal(e.CreatedAt)
	})
	switch {
	case there:
	case len(trace.Executions) < maxTree:
		trace.Executions = append(trace.Executions, *e)
	default:
		trace.Executions[len(trace.Executions)-1] = *e
	}
}

// treeOf arranges a trace's executions below one another. An execution's parent is the nearest execution above its span,
// as far as the spans between are known. What clients send as parents may contain cycles, which are cut.
func treeOf(trace execution.Trace, shown DisplayCurrency) []openapi.ExecutionNode {
	spans := make(map[string]int, len(trace.Executions))
	for i := range trace.Executions {
		if e := &trace.Executions[i]; e.SpanID != "" {
			if _, twice := spans[e.SpanID]; !twice {
				spans[e.SpanID] = i
			}
		}
	}
	for i := range trace.Executions { // other spans of the same call
		for _, j := range trace.Executions[i].Joined {
			if span, ok := strings.CutPrefix(j.ID, trace.Executions[i].TraceID+"-"); ok {
				if _, twice := spans[span]; !twice {
					spans[span] = i
				}
			}
		}
	}
	children := make([][]int, len(trace.Executions))
	var roots []int
	parents := parentsOf(trace, spans)
	for i, parent := range parents {
		if parent < 0 {
			roots = append(roots, i)
		} else {
			children[parent] = append(children[parent], i)
		}
	}
	t := tree{trace.Executions, children, shown}
	return t.nodes(roots, 1)
}

// parentsOf returns the index of each execution's parent, or -1.
func parentsOf(trace execution.Trace, spans map[string]int) []int {
	parents := make([]int, len(trace.Executions))
	for i := range trace.Executions {
		parents[i] = -1
		span := trace.Executions[i].ParentSpanID
		for range len(trace.Parents) + 1 {
			if at, ok := spans[span]; ok && at != i { // it may be another span of the same call
				if !reaches(parents[:i+1], at, i) {
					parents[i] = at
				}
				break
			}
			if span = trace.Parents[span]; span == "" {
				break
			}
		}
	}
	return parents
}

// reaches reports whether the way up from one execution leads to another. Parents beyond the slice are not known yet.
func reaches(parents []int, from, to int) bool {
	for from >= 0 && from < len(parents) {
		if from == to {
			return true
		}
		from = parents[from]
	}
	return false
}

type tree struct {
	executions []execution.Execution
	children   [][]int
	shown      DisplayCurrency
}

// nodes returns executions with what is below them. What would be deeper than maxTreeDepth is put on that level, after
// its parent.
func (t *tree) nodes(at []int, depth int) []openapi.ExecutionNode {
	all := make([]openapi.ExecutionNode, 0, len(at))
	for _, i := range at {
		node := openapi.ExecutionNode{Execution: executionSummaryOf(&t.executions[i], t.shown), Children: []openapi.ExecutionNode{}}
		if depth < maxTreeDepth {
			node.Children = t.nodes(t.children[i], depth+1)
			all = append(all, node)
			continue
		}
		all = append(all, node)
		all = append(all, t.nodes(t.children[i], depth)...)
	}
	return all
}
