package server

import (
	"net/http"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/testkit/badexecutions"
)

// A rejected execution is listed in the response and does not affect the others, in every format of a request.
func TestBadExecutions(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	good := `{"user_id":"good","agent_name":"a","status":"success"}`
	for name, tt := range badexecutions.All(time.Now()) {
		t.Run(name, func(t *testing.T) {
			check := func(got openapi.RecordedExecutions, index int32, accepted int32) {
				t.Helper()
				if got.Accepted != accepted || len(got.Rejected) != 1 {
					t.Fatalf("got %+v, want %d accepted, 1 rejected", got, accepted)
				}
				if r := got.Rejected[0]; r.Index != index || r.Code != tt.Code || r.Field != tt.Field || r.Detail == "" {
					t.Errorf("got %+v, want %s of %q in %d", r, tt.Code, tt.Field, index)
				}
			}
			before := a.stored(t)
			if tt.Raw[0] == '{' {
				check(a.record(t, tt.Raw).want(http.StatusUnprocessableEntity).recorded(), 0, 0)
			}
			check(a.record(t, `{"executions":[`+tt.Raw+`]}`).want(http.StatusUnprocessableEntity).recorded(), 0, 0)
			if now := a.stored(t); now != before {
				t.Errorf("%d executions were stored", now-before)
			}
			check(a.record(t, `{"executions":[`+good+", "+tt.Raw+" ,"+good+`]}`).want(http.StatusCreated).recorded(), 1, 2)
			check(a.recordLines(t, "\n"+good+"\r\n \t\n"+tt.Raw+"\n"+good).want(http.StatusCreated).recorded(), 1, 2)
		})
	}
}
