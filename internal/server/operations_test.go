package server

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/alerts"
)

// fakeAlerts is a snapshot of alerts.
type fakeAlerts alerts.Snapshot

func (f fakeAlerts) Active(context.Context) (alerts.Snapshot, error) { return alerts.Snapshot(f), nil }

func TestAlertsAreListed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		have fakeAlerts
		want openapi.AlertList
	}{
		"not configured": {fakeAlerts{Taken: now}, openapi.AlertList{ReadAt: now}},
		"a fault": {
			fakeAlerts{Configured: true, Taken: now, Fault: "cannot reach it"},
			openapi.AlertList{Configured: true, ReadAt: now, Fault: "cannot reach it"},
		},
		"alerts": {
			fakeAlerts{Configured: true, Kind: alerts.Alertmanager, Taken: now, Total: 300, Firing: 2, Alerts: []alerts.Alert{{
				Name: "<b>\u202e", Severity: "critical", State: alerts.Firing, Since: now.Add(-time.Hour), Summary: "s", Description: "d",
				RunbookURL: "https://r", SourceURL: "https://s", Labels: map[string]string{"a": "b"},
			}}},
			openapi.AlertList{Configured: true, Source: openapi.AlertSourceAlertmanager, ReadAt: now, Total: 300, Firing: 2, Alerts: []openapi.Alert{{
				Name: "<b>\u202e", Severity: "critical", State: openapi.AlertStateFiring, Since: now.Add(-time.Hour), Summary: "s", Description: "d",
				RunbookURL: "https://r", SourceURL: "https://s", Labels: map[string]string{"a": "b"},
			}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(o *Options) { o.Alerts = c.have })
			var got openapi.AlertList
			a.admin(t, "/api/admin/alerts").want(http.StatusOK).decode(&got)
			c.want.Status = "success"
			if c.want.Alerts == nil {
				c.want.Alerts = []openapi.Alert{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
