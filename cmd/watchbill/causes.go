package main

import (
	"strings"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

// failure is a failed execution with the run that failed because of it, if there is one.
type failure struct {
	openapi.Execution
	run *openapi.Execution
}

// causesOf groups failed executions with the runs above them: a model's call that fails usually fails the agent that
// made it, with the same error. Such an agent is not listed again, but named as the run of its call. The order stays.
func causesOf(failed []openapi.Execution) []failure {
	above := failedAbove(failed)
	repeats := make([]bool, len(failed)) // the error of one below it
	runs := make([]*openapi.Execution, len(failed))
	for i := range failed {
		for at := above[i]; at >= 0; at = above[at] {
			repeats[at] = repeats[at] || sameError(failed[i], failed[at])
			runs[i] = &failed[at]
		}
	}
	var listed []failure
	for i, e := range failed {
		if !repeats[i] {
			listed = append(listed, failure{e, runs[i]})
		}
	}
	return listed
}

// failedAbove returns the index of the failed execution that each belongs to, or -1: its parent or, because spans
// between the two need not be executions, the closest agent of its trace that was running all the time.
func failedAbove(failed []openapi.Execution) []int {
	type span struct{ trace, id string }
	spans := map[span]int{}
	traces := map[string][]int{}
	for i, e := range failed {
		if e.TraceID != "" {
			spans[span{e.TraceID, e.SpanID}] = i
			traces[e.TraceID] = append(traces[e.TraceID], i)
		}
	}
	above := make([]int, len(failed))
	for i := range failed {
		e := &failed[i]
		above[i] = -1
		if parent, found := spans[span{e.TraceID, e.ParentSpanID}]; found && parent != i {
			above[i] = parent
			continue
		}
		for _, j := range traces[e.TraceID] {
			run := &failed[j]
			if run.Kind == openapi.ExecutionKindAgent && contains(run, e) && (above[i] < 0 || contains(&failed[above[i]], run)) {
				above[i] = j
			}
		}
	}
	for i := range above { // clients may send parents that form a loop
		at := above[i]
		for range above {
			if at < 0 || at == i {
				break
			}
			at = above[at]
		}
		if at == i {
			above[i] = -1
		}
	}
	return above
}

// contains reports whether the run was in progress during all of e.
func contains(run, e *openapi.Execution) bool {
	end := func(x *openapi.Execution) time.Time {
		return x.CreatedAt.Add(time.Duration(x.ExecutionTimeMs * float64(time.Millisecond)))
	}
	return run.CreatedAt.Before(e.CreatedAt) && !end(run).Before(end(e))
}

// sameError reports whether a run's error adds nothing to that of its cause. Frameworks wrap errors, so one may contain
// the other.
func sameError(cause, run openapi.Execution) bool {
	inner, outer := deref(cause.ErrorMessage), deref(run.ErrorMessage)
	return outer == "" || inner != "" && (strings.Contains(outer, inner) || strings.Contains(inner, outer))
}
