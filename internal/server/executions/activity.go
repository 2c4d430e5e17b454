package executions

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
)

const (
	defaultErrors   = 10
	defaultActivity = 20

	// MaxPage limits the bytes of a page, since executions can be large: a page ends once it exceeds MaxPage.
	MaxPage  = 8 << 20
	rowBatch = 50 // executions that are read at a time

	eraseWithin = time.Minute // a user may have many executions
)

type executionQuery struct {
	list   input.List
	userID string // if empty, all users
	after  execution.Position
	limit  int
}

func readErrorQuery(x *endpoint.Exchange) (executionQuery, error) {
	return readExecutionQuery(x, input.NewList("execution errors"), defaultErrors)
}

func readActivityQuery(x *endpoint.Exchange) (executionQuery, error) {
	userID, err := x.UserID()
	if err != nil {
		return executionQuery{}, err
	}
	req, err := readExecutionQuery(x, input.NewList("user activity", userID), defaultActivity)
	req.userID = userID
	return req, err
}

func readExecutionQuery(x *endpoint.Exchange, l input.List, limit int64) (executionQuery, error) {
	q := x.Query()
	req := executionQuery{list: l, limit: q.LimitOr(limit)}
	cursor, given := q.Text("cursor")
	if err := q.Done(); err != nil {
		return req, err
	}
	var err error
	req.after, err = positionOf(l, cursor, given)
	return req, err
}

func (a *API) listExecutionErrors(ctx context.Context, q executionQuery) (openapi.ExecutionErrorList, error) {
	page, next, err := q.page(a.Currency, func(after execution.Position, limit int) ([]execution.Execution, error) {
		return a.Store.Errors(ctx, after, limit)
	})
	return openapi.ExecutionErrorList{Status: succeeded, Errors: page, NextCursor: next}, err
}

func (a *API) listUserActivity(ctx context.Context, q executionQuery) (openapi.UserActivityList, error) {
	page, next, err := q.page(a.Currency, func(after execution.Position, limit int) ([]execution.Execution, error) {
		return a.Store.UserActivity(ctx, q.userID, after, limit)
	})
	return openapi.UserActivityList{Status: succeeded, UserID: q.userID, Activity: page, NextCursor: next}, err
}

// page reads batches until the page is full. It reads one execution more than the page holds, to find out whether there
// is a next page.
func (q executionQuery) page(
	shown DisplayCurrency, read func(after execution.Position, limit int) ([]execution.Execution, error),
) (page []openapi.Execution, next string, err error) {
	page = []openapi.Execution{}
	for size := 0; ; {
		limit := min(q.limit-len(page)+1, rowBatch)
		found, err := read(q.after, limit)
		if err != nil {
			return nil, "", err
		}
		for _, e := range found {
			if len(page) == q.limit || size > MaxPage {
				return page, cursorAfter(q.list, q.after), nil
			}
			page = append(page, executionOf(e, shown))
			size += len(e.Input) + len(e.Output) + len(e.ErrorMessage)
			q.after = execution.PositionOf(e)
		}
		if len(found) < limit {
			return page, "", nil
		}
	}
}

// cursorAfter returns the cursor of the page that follows an execution. Its position consists of the
// execution's time, the length of the user id, the user id and the execution's id.
func cursorAfter(l input.List, p execution.Position) string {
	position := binary.BigEndian.AppendUint64(nil, uint64(p.CreatedAt))
	position = binary.BigEndian.AppendUint16(position, uint16(len(p.UserID)))
	return l.Cursor(string(position) + p.UserID + p.ID)
}

// positionOf decodes the cursor of a list that begins with the newest execution.
func positionOf(l input.List, cursor string, given bool) (execution.Position, error) {
	if !given {
		return execution.Position{}, nil
	}
	const fixed = 8 + 2
	position, err := l.Position(cursor)
	if err != nil || len(position) < fixed {
		return execution.Position{}, input.ErrCursor
	}
	at, user := binary.BigEndian.Uint64([]byte(position)), int(binary.BigEndian.Uint16([]byte(position[8:])))
	rest := position[fixed:]
	storable := utf8.ValidString(rest) && strings.IndexByte(rest, 0) < 0 // the checksum is not secret and can be forged
	if at <= math.MaxInt64 && user <= len(rest) && storable && utf8.ValidString(rest[:user]) {
		return execution.Position{CreatedAt: int64(at), UserID: rest[:user], ID: rest[user:]}, nil
	}
	return execution.Position{}, input.ErrCursor
}

func executionOf(e execution.Execution, shown DisplayCurrency) openapi.Execution {
	converted := openapi.Execution{
		UserID: e.UserID, SessionID: endpoint.UnlessEmpty(e.SessionID), RequestID: endpoint.UnlessEmpty(e.RequestID), AgentName: e.AgentName,
		InputData: e.Input, OutputData: e.Output, ExecutionTimeMs: float64(e.Duration.Microseconds()) / 1e3,
		TokensUsed: e.Tokens.Used, ModelUsed: endpoint.UnlessEmpty(e.Model), Status: openapi.ExecutionStatus(e.Status),
		ErrorMessage: endpoint.UnlessEmpty(e.ErrorMessage), CreatedAt: e.CreatedAt.UTC(), ExecutionID: e.ID, Kind: openapi.ExecutionKind(e.Kind),
		Provider: e.Provider, InputTokens: e.Tokens.Input, OutputTokens: e.Tokens.Output,
		CacheReadTokens: e.Tokens.CacheRead, CacheWriteTokens: e.Tokens.CacheWrite, ReasoningTokens: e.Tokens.Reasoning,
		PriceVersion: e.PriceVersion, TraceID: e.TraceID, SpanID: e.SpanID, ParentSpanID: e.ParentSpanID, Variant: e.Variant,
	}
	if e.Cost != nil {
		converted.CostUSD = new(openapi.USD(*e.Cost))
	}
	in := shown.showOn(converted.CostUSD, e.CreatedAt.UTC().Truncate(execution.DayWide))
	converted.Cost, converted.Currency, converted.RateDate = in.cost, in.currency, in.rateDate
	converted.Usage = openapi.ExecutionUsage(e.Usage)
	if e.ProviderCost != nil {
		converted.ProviderCostUSD = new(openapi.USD(*e.ProviderCost))
	}
	if b := e.Billing; b != (execution.Billing{}) {
		converted.Billing = &openapi.ExecutionBilling{
			ServiceTier: b.ServiceTier, Region: b.Region, CacheWrite1HTokens: b.CacheWrite1h,
			AudioInputTokens: b.AudioInput, AudioOutputTokens: b.AudioOutput, AudioCacheReadTokens: b.AudioCacheRead,
			ImageInputTokens: b.ImageInput, ImageOutputTokens: b.ImageOutput,
		}
	}
	for _, j := range e.Joined {
		converted.Joined = append(converted.Joined, openapi.JoinedExecution{ExecutionID: j.ID, By: j.By})
	}
	return converted
}

func readUserID(x *endpoint.Exchange) (string, error) {
	userID, err := x.UserID()
	if err != nil {
		return "", err
	}
	return userID, x.NoQuery()
}

func (a *API) eraseUser(ctx context.Context, userID string) (openapi.ErasedUser, error) {
	erased, err := a.Store.EraseUser(ctx, userID)
	if err != nil {
		return openapi.ErasedUser{}, err
	}
	return openapi.ErasedUser{
		Status: succeeded, UserID: userID, Deleted: openapi.ErasedRows{Executions: erased.Executions, Rollups: erased.Rollups},
	}, nil
}
