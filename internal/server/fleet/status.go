package fleet

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

type statusReport struct {
	agentID string
	id      uuid.UUID
	report  fleet.Report
}

func readStatusReport(x *endpoint.Exchange) (statusReport, error) {
	id, err := readDeploymentID(x)
	if err != nil {
		return statusReport{}, err
	}
	var body openapi.StatusReport
	x.Body.MayGrow = hasOutput
	if err := x.Decode(&body); err != nil {
		return statusReport{}, err
	}
	req := statusReport{x.Caller.Agent.ID(), id, fleet.Report{
		Attempt: int(body.Attempt), Claim: body.Claim, Status: fleet.Status(body.Status),
		Retryable: body.Retryable == nil || *body.Retryable, Progress: body.Progress,
		Message: endpoint.UnlessEmpty(body.Message), Output: endpoint.UnlessEmpty(body.Output),
	}}
	return req, req.report.Validate()
}

// hasOutput reports whether a status report that begins like this may have an output. Its other fields are small.
func hasOutput(begin []byte) bool { return bytes.Contains(begin, []byte(`"output"`)) }

func (a *API) reportStatus(ctx context.Context, req statusReport) (openapi.DeploymentState, error) {
	d, err := a.Deployments.Report(ctx, req.agentID, req.id, req.report)
	if err != nil {
		return openapi.DeploymentState{}, err
	}
	return openapi.DeploymentState{
		ID: d.ID.String(), Status: openapi.DeploymentStatus(d.Status), Attempt: int32(d.Attempt), LeaseExpiresAt: d.LeaseExpiresAt.UTC(),
	}, nil
}
