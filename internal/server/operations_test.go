package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/alerts"
	states "github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/store/postgres"
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

func TestDatabaseUsageIsListed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	seedSearch(t, a)
	var got openapi.DatabaseUsage
	a.admin(t, "/api/admin/database").want(http.StatusOK).decode(&got)
	tables := map[string]openapi.TableUsage{}
	for _, one := range got.Tables {
		tables[one.Name] = one
	}
	if e := tables["agent_executions"]; got.Bytes <= 0 || e.Partitions < 1 || e.Bytes <= 0 || tables["agents"].Partitions != 1 {
		t.Errorf("got %d bytes and %+v", got.Bytes, got.Tables)
	}
	indexes := map[string]int{}
	for _, one := range got.Indexes {
		if indexes[one.Name]++; one.Name == "idx_execution_session_created_at" && one.Table != "agent_executions" {
			t.Errorf("got %+v", one)
		}
	}
	if indexes["agents_pkey"] != 1 || indexes["idx_execution_session_created_at"] != 1 {
		t.Errorf("want each index once, got %v", indexes)
	}
	var again openapi.DatabaseUsage
	a.admin(t, "/api/admin/database").want(http.StatusOK).decode(&again)
	if !again.ReadAt.Equal(got.ReadAt) {
		t.Errorf("the second response is of %s, not of %s", again.ReadAt, got.ReadAt)
	}
}

func TestReplicasAreListed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	store := postgres.NewReplicas(a.db)
	now := time.Now()
	for _, r := range []states.Replica{
		{Name: "this", Version: "v1", Started: now, Faults: []string{}, PoolMax: 16},
		{Name: "other<b>", Version: "v2", Started: now.Add(-time.Hour), Faults: []string{"the mailbox is stale"}},
		{Name: "gone", Version: "v0", Started: now.Add(-2 * time.Hour), Faults: []string{}},
	} {
		if err := store.Mark(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.MarkStopped(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	var got openapi.ReplicaList
	a.admin(t, "/api/admin/replicas").want(http.StatusOK).decode(&got)
	var lines []string
	for _, r := range got.Replicas {
		lines = append(lines, fmt.Sprint(r.Name, " ", r.This, " ", r.State, " ", r.Version, " ", len(r.Faults), " ", r.Pool.Max, " ", r.StoppedAt.IsZero()))
	}
	want := []string{"this true ok v1 0 16 true", "other<b> false degraded v2 1 0 true", "gone false stopped v0 0 0 false"}
	if !slices.Equal(lines, want) {
		t.Errorf("want %q, got %q", want, lines)
	}
}
