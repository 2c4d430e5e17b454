package httpapi

import (
	"io"
	"net/http"
	"sync/atomic"
)

// maxBodies is how many bytes of executions' bodies may be held at a time, all requests together. They are large, and may
// come slowly: many of them at once must not take all memory there is.
const maxBodies = 256 << 20

// budget is what is left of a number of bytes. It is taken as bytes come, not for what a request says is to come.
type budget struct{ left atomic.Int64 }

func newBudget(bytes int64) *budget {
	b := &budget{}
	b.left.Store(bytes)
	return b
}

func (b *budget) take(n int64) bool {
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

// budgeted is a body whose bytes are taken from a budget until it is released.
type budgeted struct {
	io.ReadCloser
	budget *budget
	taken  int64
}

var errBodiesFull = newProblem(http.StatusServiceUnavailable, "busy", "", "too much is being sent at once; try again later")

// Read fails with errBodiesFull where the budget has nothing left.
func (b *budgeted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n == 0 {
		return n, err
	}
	if !b.budget.take(int64(n)) {
		return 0, errBodiesFull
	}
	b.taken += int64(n)
	return n, err
}

// release gives back what was taken: the request is answered, or what it said is on its way.
func (b *budgeted) release() {
	b.budget.left.Add(b.taken)
	b.taken = 0
}
