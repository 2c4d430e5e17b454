package fleet

import (
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

func agentEnrolled(_ enrollRequest, enrolled openapi.EnrolledAgent) endpoint.Event {
	return endpoint.NewEvent("agent.enrolled", zap.String("agent_id", enrolled.ID))
}

func agentDeleted(id string, _ endpoint.Nothing) endpoint.Event {
	return endpoint.NewEvent("agent.deleted", zap.String("agent_id", id))
}

func agentTokenRotated(id string, _ openapi.EnrolledAgent) endpoint.Event {
	return endpoint.NewEvent("agent.token_rotated", zap.String("agent_id", id))
}

// deploymentCreated returns no event for a repeated request, which created nothing.
func deploymentCreated(_ orderRequest, created createdDeployments) endpoint.Event {
	if created.group == nil {
		return endpoint.Event{}
	}
	return endpoint.NewEvent("deployment.created",
		zap.Stringer("group_id", created.group.ID), zap.Int("deployments", len(created.group.Deployments)),
	)
}

func deploymentCancelled(id uuid.UUID, _ openapi.Deployment) endpoint.Event {
	return endpoint.NewEvent("deployment.cancelled", zap.Stringer("deployment_id", id))
}

func groupCancelled(id uuid.UUID, group openapi.DeploymentGroup) endpoint.Event {
	return endpoint.NewEvent("deployment_group.cancelled",
		zap.Stringer("group_id", id), zap.Int64("cancelled", int64(group.Counts.Cancelled)),
	)
}
