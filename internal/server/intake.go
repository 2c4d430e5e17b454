package server

import (
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

// intake is what came in one request, sorted out.
type intake struct {
	batch    execution.Batch
	indexes  []int // where the batch's executions stood among all that came
	rejected []execution.Rejection
	came     int
	unread   []string // names of counts that are not known

	reader *executionReader
}

// scan reads a body that is a list of executions as nearly all are. It reports whether the body is one; if not, what it
// read so far is void.
func (in *intake) scan(body []byte) bool {
	whole := scanList(body, func(i int) (end int) {
		if in.came == maxExecutions {
			return -1
		}
		e := in.next()
		if end = in.reader.scan(body, i, e); end < 0 {
			in.drop()
			if end = afterUnusual(body, i); end >= 0 {
				in.add(body[i:end], in.reader.decode)
			}
			return end
		}
		in.took()
		if in.came == 1 { // the others are about as long
			others := min(len(body)/(end-i), maxExecutions) - 1
			in.batch.Executions, in.indexes = slices.Grow(in.batch.Executions, others), slices.Grow(in.indexes, others)
		}
		return end
	})
	return whole && in.came > 0
}

// add adds an execution that read reads, or why it is rejected.
func (in *intake) add(raw []byte, read func([]byte, *execution.Execution) *execution.Fault) {
	if fault := read(raw, in.next()); fault != nil {
		in.drop()
		in.rejected = append(in.rejected, execution.Rejection{Index: in.came, Fault: *fault})
		in.noteRead()
		return
	}
	in.took()
}

// next makes room for an execution in the batch.
func (in *intake) next() *execution.Execution {
	n := len(in.batch.Executions)
	in.batch.Executions = slices.Grow(in.batch.Executions, 1)[:n+1]
	return &in.batch.Executions[n]
}

// drop takes the last execution out of the batch.
func (in *intake) drop() { in.batch.Executions = in.batch.Executions[:len(in.batch.Executions)-1] }

// took notes that the last execution of the batch was read.
func (in *intake) took() {
	in.indexes = append(in.indexes, in.came)
	in.noteRead()
}

func (in *intake) noteRead() {
	in.came++
	in.unread = append(in.unread, in.reader.usage.unread...)
}
