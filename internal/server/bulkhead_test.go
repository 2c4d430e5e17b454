package server

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// More administrators' reads than the pool has connections wait for a lock, and yet other requests find a connection.
func TestBlockedReadsLeaveConnections(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	if got, want := cap(a.adminReads), 2; got != want {
		t.Fatalf("a third of the pool: want %d, got %d", want, got)
	}
	conn, err := pgx.Connect(t.Context(), a.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE agent_executions"); err != nil {
		t.Fatal(err)
	}
	var busy sync.Map
	var reads sync.WaitGroup
	for i := range 12 {
		reads.Go(func() {
			got := a.send(t, request{method: "GET", path: "/api/admin/errors", token: adminToken})
			busy.Store(i, got.Body.String())
			if got.Code != http.StatusServiceUnavailable {
				t.Errorf("a read: want 503, got %d", got.Code)
			}
		})
	}
	for deadline := time.Now().Add(5 * time.Second); len(a.adminReads) < cap(a.adminReads); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the reads do not take their share")
		}
	}
	got := a.send(t, request{method: "POST", path: "/api/agents", token: enrollmentToken, body: `{"name": "edge", "poll_interval_seconds": 10}`})
	if got.Code != http.StatusCreated {
		t.Errorf("an enrolment beside them: want 201, got %d %s", got.Code, got.Body)
	}
	if got := a.send(t, request{method: "GET", path: "/api/health"}); got.Code != http.StatusOK {
		t.Errorf("health beside them: want 200, got %d", got.Code)
	}
	if len(a.adminReads) != cap(a.adminReads) {
		t.Error("the reads were over before the enrolment was")
	}
	reads.Wait()
	named := false
	busy.Range(func(_, answer any) bool {
		named = named || strings.Contains(answer.(string), `"busy"`)
		return true
	})
	if !named {
		t.Error("want some that timed out waiting rejected as busy")
	}
}

func TestOnlyReadsMayWait(t *testing.T) {
	t.Parallel()
	for _, r := range routes {
		name := r.Method + " " + r.Pattern
		switch name {
		case "GET /api/admin/errors", "GET /api/admin/costs", "GET /api/metrics", "POST /api/reports", "GET /api/deployments", "DELETE /api/admin/users/{user_id}":
			if !isRead(r) {
				t.Errorf("%s: want it among the reads", name)
			}
		case "POST /api/agents", "POST /api/deployments", "POST /api/executions", "POST /api/deployments/{deployment_id}/status", "GET /api/health", "GET /livez", "GET /readyz",
			"GET /api/deployments/pending/{agent_id}":
			if isRead(r) {
				t.Errorf("%s: must not wait for reads", name)
			}
		}
	}
}
