package executions

import (
	"fmt"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
)

func TestTreesAreBounded(t *testing.T) {
	t.Parallel()
	const n = 100
	trace := execution.Trace{Parents: map[string]string{"between": "s0"}}
	for i := range n {
		e := execution.Execution{ID: fmt.Sprint(i), SpanID: fmt.Sprint("s", i), ParentSpanID: fmt.Sprint("s", i-1)}
		switch i {
		case 0:
			e.ParentSpanID = fmt.Sprint("s", n-1) // a cycle
		case 1:
			e.ParentSpanID = "between"
		}
		trace.Executions = append(trace.Executions, e)
	}
	seen, deepest := 0, 0
	var walk func(nodes []openapi.ExecutionNode, depth int)
	walk = func(nodes []openapi.ExecutionNode, depth int) {
		deepest = max(deepest, depth)
		for _, node := range nodes {
			seen++
			walk(node.Children, depth+1)
		}
	}
	walk(treeOf(trace, DisplayCurrency{}), 0)
	if seen != n || deepest != maxTreeDepth {
		t.Errorf("want all %d executions on %d levels, got %d on %d", n, maxTreeDepth, seen, deepest)
	}
}

// TestTreesPassOtherSpansOfACall checks that a call below another span of its own is put below the execution above both.
func TestTreesPassOtherSpansOfACall(t *testing.T) {
	t.Parallel()
	trace := execution.Trace{
		Executions: []execution.Execution{
			{ID: "t-1", TraceID: "t", SpanID: "1"},
			{ID: "t-3", TraceID: "t", SpanID: "3", ParentSpanID: "2", Joined: []execution.Joined{{ID: "t-2"}}},
		},
		Parents: map[string]string{"2": "1"},
	}
	roots := treeOf(trace, DisplayCurrency{})
	if len(roots) != 1 || len(roots[0].Children) != 1 || roots[0].Children[0].Execution.ExecutionID != "t-3" {
		t.Errorf("want t-3 below t-1, got %+v", roots)
	}
}

func TestLongTracesIncludeTheExecution(t *testing.T) {
	t.Parallel()
	var trace execution.Trace
	for i := range maxTree {
		trace.Executions = append(trace.Executions, execution.Execution{ID: fmt.Sprint(i), CreatedAt: time.Unix(int64(i), 0)})
	}
	count := func(id string) (n int) {
		for i := range trace.Executions {
			if trace.Executions[i].ID == id {
				n++
			}
		}
		return n
	}
	for _, e := range []execution.Execution{trace.Executions[7], {ID: "late", CreatedAt: time.Unix(maxTree, 0)}} {
		include(&trace, &e)
		if got := count(e.ID); got != 1 || len(trace.Executions) != maxTree {
			t.Errorf("want %s once of %d executions, got it %d times of %d", e.ID, maxTree, got, len(trace.Executions))
		}
	}
}
