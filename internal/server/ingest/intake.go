package ingest

import (
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

// intake collects the executions of one request.
type intake struct {
	batch    execution.Batch
	indexes  []int // position in the request of each of the batch's executions
	rejected []execution.Rejection
	came     int      // number of executions read so far, rejected ones included
	unread   []string // names of unknown token counts

	reader *executionReader
}

// scan reads a body that is a list of executions, the usual form. It reports whether the body is one; if not, what it
// has read is invalid.
func (in *intake) scan(body []byte) bool {
	whole := scanList(body, func(i int) (end int) {
		if in.came == MaxExecutions {
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
		if in.came == 1 { // assume that the others are about as long
			others := min(len(body)/(end-i), MaxExecutions) - 1
			in.batch.Executions, in.indexes = slices.Grow(in.batch.Executions, others), slices.Grow(in.indexes, others)
		}
		return end
	})
	return whole && in.came > 0
}

// add adds the execution decoded by read, or its rejection.
func (in *intake) add(raw []byte, read func([]byte, *execution.Execution) *execution.Fault) {
	if fault := read(raw, in.next()); fault != nil {
		in.drop()
		in.rejected = append(in.rejected, execution.Rejection{Index: in.came, Fault: *fault})
		in.noteRead()
		return
	}
	in.took()
}

// next extends the batch by one execution and returns it.
func (in *intake) next() *execution.Execution {
	n := len(in.batch.Executions)
	in.batch.Executions = slices.Grow(in.batch.Executions, 1)[:n+1]
	return &in.batch.Executions[n]
}

// drop removes the last execution of the batch.
func (in *intake) drop() { in.batch.Executions = in.batch.Executions[:len(in.batch.Executions)-1] }

// took marks the last execution of the batch as read.
func (in *intake) took() {
	in.indexes = append(in.indexes, in.came)
	in.noteRead()
}

func (in *intake) noteRead() {
	in.came++
	in.unread = append(in.unread, in.reader.usage.unread...)
}
