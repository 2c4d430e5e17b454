package fleet

import (
	"context"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

func readGroupID(x *endpoint.Exchange) (uuid.UUID, error) {
	id, err := x.ID("group_id")
	if err != nil {
		return id, err
	}
	return id, x.NoQuery()
}

// readGroupAction reads a POST that needs no body.
func readGroupAction(x *endpoint.Exchange) (uuid.UUID, error) {
	id, err := readGroupID(x)
	if err != nil {
		return id, err
	}
	return id, x.NoBody()
}

func (a *API) getGroup(ctx context.Context, id uuid.UUID) (openapi.DeploymentGroup, error) {
	return groupOf(a.Deployments.Group(ctx, id))
}

func (a *API) cancelGroup(ctx context.Context, id uuid.UUID) (openapi.DeploymentGroup, error) {
	return groupOf(a.Deployments.CancelGroup(ctx, id))
}

func groupOf(g fleet.Group, err error) (openapi.DeploymentGroup, error) {
	if err != nil {
		return openapi.DeploymentGroup{}, err
	}
	return openapi.DeploymentGroup{
		GroupID: g.ID.String(), Name: g.Name, CreatedAt: g.CreatedAt.UTC(), Total: g.Total(), Finished: g.Finished(),
		Counts: openapi.StatusCounts{
			Pending: g.Counts[fleet.Pending], Running: g.Counts[fleet.Running], Succeeded: g.Counts[fleet.Succeeded],
			Failed: g.Counts[fleet.Failed], TimedOut: g.Counts[fleet.TimedOut], Cancelled: g.Counts[fleet.Cancelled],
		},
	}, nil
}
