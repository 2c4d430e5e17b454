package executions

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
)

// Users reads the users of the agents.
type Users interface {
	Users(ctx context.Context, query execution.UserQuery) (execution.Users, error)
	// Adoption returns the last weeks, the current one last, with up to limit agents by name.
	Adoption(ctx context.Context, weeks, limit int) ([]execution.AdoptionWeek, error)
}

const (
	defaultWeeks = 12
	maxWeeks     = 53
	maxAdopted   = 100 // agents
)

// usersQuery is a request for a page of users.
type usersQuery struct {
	execution.UserQuery
	list input.List
}

func readUserQuery(x *endpoint.Exchange) (usersQuery, error) {
	q := x.Query()
	req := usersQuery{UserQuery: execution.UserQuery{
		Days: int(q.Integer("days", defaultDays, 1, maxDays)), TimeZone: readTimeZone(&q, "time_zone"), Limit: q.Limit(),
		Sort: input.OneOf(&q, "sort", execution.UsersByCost, execution.UsersByRequests, execution.UsersByTokens, execution.UsersByID),
	}}
	if req.Sort == "" {
		req.Sort = execution.UsersByCost
	}
	cursor, given := q.Text("cursor")
	if err := q.Done(); err != nil {
		return req, err
	}
	req.list = input.NewList("users", fmt.Sprint(req.Days), req.TimeZone, string(req.Sort))
	if !given {
		return req, nil
	}
	position, err := req.list.Position(cursor)
	if err != nil || len(position) <= 8 || !utf8.ValidString(position[8:]) || strings.IndexByte(position[8:], 0) >= 0 {
		return req, input.ErrCursor
	}
	req.After = execution.UserPosition{Value: int64(binary.BigEndian.Uint64([]byte(position))), UserID: position[8:]}
	return req, nil
}

func (a *API) listUsers(ctx context.Context, req usersQuery) (openapi.UserList, error) {
	if err := a.Computing.Enter(ctx); err != nil {
		return openapi.UserList{}, err
	}
	defer a.Computing.Leave()
	page, err := a.Store.Users(ctx, req.UserQuery)
	if err != nil {
		return openapi.UserList{}, err
	}
	response := openapi.UserList{
		Status: succeeded, Window: openapi.ExecutionWindow{From: page.Window.From.UTC(), To: page.Window.To.UTC()}, TimeZone: req.TimeZone,
		ActiveUsers: page.Active, Users: make([]openapi.User, len(page.Users)),
	}
	for i := range page.Users {
		u := &page.Users[i]
		spend := a.inCurrency(spendOf(u.Spend), page.Window.To)
		response.Users[i] = openapi.User{
			UserID: u.ID, FirstSeenAt: u.FirstSeen, LastSeenAt: u.LastSeen, Requests: spend.Requests, Tokens: spend.Tokens, CostUSD: spend.CostUSD,
			UnpricedTokens: spend.UnpricedTokens, UnknownUsage: spend.UnknownUsage, EstimatedCostUSD: spend.EstimatedCostUSD,
			ProviderCostUSD: spend.ProviderCostUSD, ProviderUnpricedUSD: spend.ProviderUnpricedUSD,
			ProviderDifferenceUSD: spend.ProviderDifferenceUSD, Cost: spend.Cost, Currency: spend.Currency, RateDate: spend.RateDate,
		}
	}
	if page.Next != (execution.UserPosition{}) {
		response.NextCursor = req.list.Cursor(string(binary.BigEndian.AppendUint64(nil, uint64(page.Next.Value))) + page.Next.UserID)
	}
	return response, nil
}

func readWeeks(x *endpoint.Exchange) (int64, error) {
	q := x.Query()
	weeks := q.Integer("weeks", defaultWeeks, 1, maxWeeks)
	return weeks, q.Done()
}

func (a *API) getAdoption(ctx context.Context, weeks int64) (openapi.AdoptionAnswer, error) {
	if err := a.Computing.Enter(ctx); err != nil {
		return openapi.AdoptionAnswer{}, err
	}
	defer a.Computing.Leave()
	all, err := a.Store.Adoption(ctx, int(weeks), maxAdopted)
	if err != nil {
		return openapi.AdoptionAnswer{}, err
	}
	response := openapi.AdoptionAnswer{Status: succeeded, Weeks: make([]openapi.AdoptionWeek, len(all))}
	for i, w := range all {
		year, number := w.From.ISOWeek()
		week := openapi.AdoptionWeek{
			Week: fmt.Sprintf("%d-W%02d", year, number), From: w.From, To: w.To, ActiveUsers: w.ActiveUsers, NewUsers: w.NewUsers,
			ActiveAgents: w.ActiveAgents, NewAgents: w.NewAgents, Agents: make([]openapi.AdoptedAgent, len(w.Agents)),
		}
		for n, a := range w.Agents {
			f := figuresOf(a.Figures)
			week.Agents[n] = openapi.AdoptedAgent{Agent: a.Agent, New: a.New, Requests: f.Count, Tokens: f.Tokens, CostUSD: f.CostUSD}
		}
		response.Weeks[i] = week
	}
	return response, nil
}
