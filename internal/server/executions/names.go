package executions

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

var errNoName = &fault.Error{Kind: fault.NotFound, Code: "name_not_found", Detail: "the name has no separate totals"}

// listNames serves GET /api/admin/names.
func (a *API) listNames(ctx context.Context, _ endpoint.Nothing) (openapi.NameList, error) {
	names, limit, err := a.Store.Names(ctx)
	if err != nil {
		return openapi.NameList{}, err
	}
	list := openapi.NameList{Status: succeeded, Limit: int32(limit), Names: make([]openapi.Name, len(names))}
	for i, n := range names {
		list.Names[i] = openapi.Name{Kind: openapi.NameKind(n.Kind), Name: n.Name, Since: n.Since.UTC()}
	}
	return list, nil
}

// readName reads the name in the path.
func readName(x *endpoint.Exchange) (string, error) {
	if x.Param == "" || len(x.Param) > execution.MaxName || !utf8.ValidString(x.Param) || strings.ContainsFunc(x.Param, unicode.IsControl) {
		return "", problem.BadRequest("invalid_field", "name", "must be text of 1 to %d bytes without control characters", execution.MaxName)
	}
	return x.Param, x.NoQuery()
}

func (a *API) dropAgentName(ctx context.Context, name string) (endpoint.Nothing, error) {
	return a.dropName(ctx, execution.AgentName, name)
}

func (a *API) dropModelName(ctx context.Context, name string) (endpoint.Nothing, error) {
	return a.dropName(ctx, execution.ModelName, name)
}

func (a *API) dropName(ctx context.Context, kind, name string) (endpoint.Nothing, error) {
	dropped, err := a.Store.DropName(ctx, kind, name)
	if err == nil && !dropped {
		err = errNoName
	}
	return endpoint.Nothing{}, err
}
