package server

import (
	"net/http"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
)

// TestGroupIDInPlaceOfADeploymentID asks for a deployment by its group's id, which 'watchbill deploy' prints.
func TestGroupIDInPlaceOfADeploymentID(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.enroll(t, "a1")
	group := a.deploy(t, "a1").GroupID
	for _, tt := range []struct{ method, path string }{
		{"GET", "/api/deployments/" + group},
		{"GET", "/api/deployments/" + group + "/logs"},
		{"POST", "/api/deployments/" + group + "/cancel"},
	} {
		var p openapi.Problem
		a.send(t, request{method: tt.method, path: tt.path, token: adminToken}).want(http.StatusNotFound).decode(&p)
		if p.Code != "deployment_not_found" || !strings.Contains(p.Detail, "id of a deployment group") || !strings.Contains(p.Detail, "group_id="+group) {
			t.Errorf("%s %s: got %s, %q", tt.method, tt.path, p.Code, p.Detail)
		}
	}
	var p openapi.Problem
	const unknown = "0197a1b2-7c3d-7e4f-8a5b-000000000001"
	a.send(t, request{method: "GET", path: "/api/deployments/" + unknown, token: adminToken}).want(http.StatusNotFound).decode(&p)
	if strings.Contains(p.Detail, "group") {
		t.Errorf("an unknown id: got %q", p.Detail)
	}
}
