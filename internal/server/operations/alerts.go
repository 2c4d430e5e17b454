package operations

import (
	"context"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

func (a *API) getAlerts(ctx context.Context, _ endpoint.Nothing) (openapi.AlertList, error) {
	found, err := a.Alerts.Active(ctx)
	if err != nil {
		return openapi.AlertList{}, err
	}
	answer := openapi.AlertList{
		Status: "success", Configured: found.Configured, Source: openapi.AlertSource(found.Kind), ReadAt: found.Taken.UTC(), Fault: found.Fault,
		Total: int32(found.Total), Firing: int32(found.Firing), Alerts: make([]openapi.Alert, len(found.Alerts)),
	}
	for i, one := range found.Alerts {
		answer.Alerts[i] = openapi.Alert{
			Name: one.Name, Severity: one.Severity, State: openapi.AlertState(one.State), Since: one.Since.UTC(), Summary: one.Summary,
			Description: one.Description, RunbookURL: one.RunbookURL, SourceURL: one.SourceURL, Labels: one.Labels,
		}
	}
	return answer, nil
}
