package endpoint

import (
	"net/http"
	"slices"
	"time"
)

// A large response is held in memory until its client has read it. Its size is therefore taken from a budget, and a
// client that reads less than answerPart within ProgressWithin is disconnected. A slow but steady client is not.
const (
	smallAnswer    = 32 << 10 // bytes; responses up to this size are sent without the budget
	answerPart     = 32 << 10 // bytes that a client must read within ProgressWithin
	ProgressWithin = 15 * time.Second
)

func noop() {}

// takeAnswer takes the size of a response from the budget. It returns a function that releases it, or the problem to
// respond with.
func (x *Exchange) takeAnswer(size int) (giveBack func(), err error) {
	if size <= smallAnswer || x.Shared.Answers == nil || x.Request.Method == http.MethodHead {
		return noop, nil
	}
	n := min(int64(size), x.Shared.Answers.total/4) // a single response may be larger than the whole budget
	who := x.share()
	if problem := x.Shared.Answers.take(who, n); problem != nil {
		return nil, problem
	}
	return func() { x.Shared.Answers.give(who, n) }, nil
}

// writeBody sends the body of a response. It ignores write errors, since the client may be gone.
func (x *Exchange) writeBody(all []byte) {
	if len(all) <= smallAnswer {
		_, _ = x.Write(all)
		return
	}
	control := http.NewResponseController(x.ResponseWriter)
	for part := range slices.Chunk(all, answerPart) {
		_ = control.SetWriteDeadline(x.Shared.Now().Add(ProgressWithin)) // if unsupported, the server's timeout applies
		if _, err := x.Write(part); err != nil {
			return
		}
	}
}
