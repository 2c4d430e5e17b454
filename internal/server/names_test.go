package server

import (
	"net/http"
	"strings"
	"testing"
)

func TestNamesAreListedAndDropped(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.record(t, `{"user_id": "ada", "agent_name": "a/b", "status": "success", "execution_time_ms": 1, "model_used": "m"}`)
	list := func() string {
		t.Helper()
		got := a.send(t, request{method: "GET", path: "/api/admin/names", token: adminToken})
		if got.Code != http.StatusOK {
			t.Fatalf("got %d %s", got.Code, got.Body)
		}
		return got.Body.String()
	}
	if got := list(); !strings.Contains(got, `"a/b"`) || !strings.Contains(got, `"limit":500`) {
		t.Errorf("want the agent and the limit, got %s", got)
	}
	for _, tt := range []struct {
		path, token string
		want        int
	}{
		{"/api/admin/names/agent/a%2Fb", ingestToken, http.StatusForbidden},
		{"/api/admin/names/model/a%2Fb", adminToken, http.StatusNotFound},
		{"/api/admin/names/agent/a%2Fb?x=1", adminToken, http.StatusBadRequest},
		{"/api/admin/names/agent/" + strings.Repeat("x", 129), adminToken, http.StatusBadRequest},
		{"/api/admin/names/agent/a%2Fb", adminToken, http.StatusNoContent},
		{"/api/admin/names/agent/a%2Fb", adminToken, http.StatusNotFound},
		{"/api/admin/names/model/m", adminToken, http.StatusNoContent},
	} {
		if got := a.send(t, request{method: "DELETE", path: tt.path, token: tt.token}); got.Code != tt.want {
			t.Errorf("%s: want %d, got %d %s", tt.path, tt.want, got.Code, got.Body)
		}
	}
	if got := list(); !strings.Contains(got, `"names":[]`) {
		t.Errorf("want no names, got %s", got)
	}
}
