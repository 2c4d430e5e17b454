package openapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/watchbill/watchbill/api/openapi"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Spec)
	if err != nil {
		t.Fatalf("load the document: %v", err)
	}
	return doc
}

// Validate also checks every example against its schema.
func TestDocumentIsValid(t *testing.T) {
	if err := load(t).Validate(t.Context(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Error(err)
	}
}

func TestOperationsAreComplete(t *testing.T) {
	doc := load(t)
	seen := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			at := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 || op.Security == nil {
				t.Errorf("%s lacks an operationId, a summary, its tag or who may call it", at)
			}
			if other, ok := seen[op.OperationID]; ok {
				t.Errorf("%s and %s share the operationId %s", at, other, op.OperationID)
			}
			seen[op.OperationID] = at
			for status, resp := range op.Responses.Map() {
				checkErrorResponse(t, at, status, resp.Value)
			}
			if op.RequestBody != nil && op.Responses.Status(http.StatusRequestEntityTooLarge) == nil {
				t.Errorf("%s reads a body but does not answer 413", at)
			}
		}
	}
}

func checkErrorResponse(t *testing.T, at, status string, resp *openapi3.Response) {
	t.Helper()
	if status < "400" || at == "GET /api/health" || at == "POST /api/executions" && status == "422" { // reports a fault per item
		return
	}
	mediaType, schema, kinds := "application/problem+json", "Problem", 1
	if isOTLP(at) {
		mediaType, schema, kinds = "application/json", "RPCStatus", 2 // the other is protobuf
	}
	media := resp.Content[mediaType]
	if media == nil || len(resp.Content) != kinds || media.Schema.Ref != "#/components/schemas/"+schema {
		t.Errorf("%s: %s is not a %s", at, status, schema)
	}
	if (status == "429" || status == "503") && resp.Headers["Retry-After"] == nil {
		t.Errorf("%s: %s lacks Retry-After", at, status)
	}
}

// isOTLP reports whether an endpoint speaks OpenTelemetry's protocol, which has its own errors and ignores unknown
// fields.
func isOTLP(at string) bool { return strings.HasPrefix(at, "POST /v1/") }

// Unknown fields in requests are rejected, so every schema must exclude them.
func TestRequestBodiesAreClosed(t *testing.T) {
	for path, item := range load(t).Paths.Map() {
		for method, op := range item.Operations() {
			if op.RequestBody == nil || isOTLP(method+" "+path) {
				continue
			}
			media := op.RequestBody.Value.Content["application/json"]
			if media == nil {
				continue
			}
			for _, schema := range append(media.Schema.Value.OneOf, media.Schema) {
				if has := schema.Value.AdditionalProperties.Has; len(schema.Value.OneOf) == 0 && (has == nil || *has) {
					t.Errorf("%s %s: the request's schema is open", method, path)
				}
			}
		}
	}
}

func TestProblemOf(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"success":       {200, `{}`, ""},
		"not modified":  {304, ``, ""},
		"problem":       {409, `{"code":"stale_attempt","title":"Conflict","detail":"attempt 1 is over","status":409}`, "attempt 1 is over (409 stale_attempt)"},
		"with a field":  {400, `{"code":"invalid_field","detail":"must be at least 5","field":"/lease_seconds"}`, "/lease_seconds: must be at least 5 (400 invalid_field)"},
		"not a problem": {502, `<html>`, "Bad Gateway (502 unknown)"},
		"other JSON":    {500, `{"error":"x"}`, "Internal Server Error (500 unknown)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := openapi.ProblemOf(&http.Response{StatusCode: tt.status}, []byte(tt.body))
			if tt.want == "" {
				if err != nil {
					t.Fatalf("got %v, want none", err)
				}
				return
			}
			var p *openapi.Problem
			if !errors.As(err, &p) || int(p.Status) != tt.status {
				t.Fatalf("got %#v, want a problem with status %d", err, tt.status)
			}
			if got := err.Error(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExamplesAreThere(t *testing.T) {
	for _, name := range []string{
		"EnrollAgentRequest", "CreateDeploymentsRequest", "StatusReport", "CreateReportRequest", "Problem", "Deployment",
		"NewExecution", "NewExecutions", "RecordedExecutions", "ProcessStreamRequest", "Execution", "ExecutionMetricsAnswer", "CostsAnswer", "ErasedUser",
	} {
		if load(t).Components.Schemas[name].Value.Example == nil {
			t.Errorf("%s has no example", name)
		}
	}
	if strings.Contains(string(openapi.Spec), "x-go-") {
		t.Error("what concerns only the Go generator belongs in go.overlay.yaml")
	}
}
