package server

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/watchbill/watchbill/internal/server/endpoint"
)

func TestRoutesMatchOpenAPI(t *testing.T) {
	documented := map[string]*openapi3.Operation{}
	for path, item := range contract().Paths.Map() {
		for method, operation := range item.Operations() {
			documented[method+" "+path] = operation
		}
	}
	served := map[string]endpoint.Route{}
	for _, r := range routes {
		at := r.Method + " " + r.Pattern
		if _, twice := served[at]; twice {
			t.Errorf("%s is routed twice", at)
		}
		served[at] = r
		if strings.Count(r.Pattern, "{") > 1 {
			t.Errorf("%s: the router knows one wildcard a pattern", at)
		}
	}
	for at, operation := range documented {
		r, ok := served[at]
		if !ok {
			t.Errorf("%s is in the document and not served", at)
			continue
		}
		if got, want := schemesOf(r.Access), documentedSchemes(operation); !slices.Equal(got, want) {
			t.Errorf("%s may be called with %v, the document says %v", at, got, want)
		}
	}
	for at := range served {
		if documented[at] == nil {
			t.Errorf("%s is served and not in the document", at)
		}
	}
}

func schemesOf(who endpoint.Access) []string {
	admins := []string{"adminBearer", "adminHeader", "adminQuery"}
	switch who {
	case endpoint.Admin:
		return append(admins, "session")
	case endpoint.TokenIssuer:
		return admins
	case endpoint.SignedIn:
		return []string{"session"}
	case endpoint.LogReader:
		return append(admins, "agent", "session")
	case endpoint.Enroller:
		return append(admins, "enrollment")
	case endpoint.AgentOnly:
		return []string{"agent"}
	case endpoint.AgentOrAdmin:
		return append(admins, "agent")
	case endpoint.Reporter:
		return append(admins, "serviceAccount", "session")
	case endpoint.Ingester, endpoint.Exporter:
		return []string{"ingest"}
	default:
		return nil
	}
}

func documentedSchemes(operation *openapi3.Operation) []string {
	var schemes []string
	for _, requirement := range *operation.Security {
		schemes = slices.AppendSeq(schemes, maps.Keys(requirement))
	}
	slices.Sort(schemes)
	return schemes
}
