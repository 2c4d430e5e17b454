package openapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/watchbill/watchbill/api/openapi"
)

// server stands in for a Watchbill server.
func server(status int, mediaType, response string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		_, _ = fmt.Fprintln(w, response)
	}))
}

// withToken sends a token with each request.
func withToken(token string) openapi.ClientOption {
	return openapi.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	})
}

// Deploy to all agents in Europe. With the idempotency key the request may be repeated after an error.
func ExampleClientWithResponses_CreateDeploymentsWithResponse() {
	srv := server(http.StatusCreated, "application/json", `{"group_id": "0197a1b2-7c3d-7e4f-8a5b-000000000001", "name": "app 1.4.2", "spec": {},
		"deployments": [{"id": "0197a1b2-7c3d-7e4f-8a5b-000000000002", "agent_id": "edge-eu-017"}]}`)
	defer srv.Close()

	client, err := openapi.NewClientWithResponses(srv.URL, withToken("the-admin-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	created, err := client.CreateDeploymentsWithResponse(context.Background(),
		&openapi.CreateDeploymentsParams{IdempotencyKey: new("release-1.4.2-eu")},
		openapi.CreateDeploymentsJSONRequestBody{Name: "app 1.4.2", Selector: "region=eu", Spec: []byte(`{"image": "app:1.4.2"}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	if created.JSON201 == nil {
		fmt.Println(created.Status(), string(created.Body))
		return
	}
	for _, d := range created.JSON201.Deployments {
		fmt.Println(d.AgentID, d.ID)
	}
	// Output: edge-eu-017 0197a1b2-7c3d-7e4f-8a5b-000000000002
}

// A response other than 2xx is a problem document with a code.
func ExampleProblem() {
	srv := server(http.StatusNotFound, "application/problem+json", `{"status": 404, "code": "agent_not_found", "detail": "no such agent"}`)
	defer srv.Close()

	client, err := openapi.NewClientWithResponses(srv.URL, withToken("the-admin-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := client.GetAgentWithResponse(context.Background(), "edge-eu-018")
	if err != nil {
		fmt.Println(err)
		return
	}
	if p := got.ApplicationProblemJSON404; p != nil {
		fmt.Println(p.Code, p.Detail)
	}
	// Output: agent_not_found no such agent
}
