package trace_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/trace"
)

func TestX(t *testing.T) {
	at := time.Now()
	mk := func(tr, id, scope string) trace.Node {
		e := &execution.Execution{ID: tr + "-" + id, CreatedAt: at, UserID: "unknown", AgentName: "unknown", Kind: execution.Inference, TraceID: tr, SpanID: id, Model: "m", Status: execution.Success, Duration: time.Second}
		return trace.Node{Span: &execution.Span{TraceID: tr, SpanID: id, Execution: true, Role: execution.RoleCall, Status: execution.Success, StartedAt: at, EndedAt: at.Add(time.Second), Scope: scope, Process: "p", ResponseID: "r"}, Execution: e}
	}
	d := trace.Decide([]trace.Node{mk("a", "1", "x"), mk("b", "2", "y")})
	for _, one := range d {
		t.Logf("%+v", one)
	}
}
