package executions

import (
	"fmt"
	"testing"

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
