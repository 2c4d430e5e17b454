package server

import (
	"net/http"
	"slices"
	"time"
)

// A large response is held in memory until its client has read it. Its size is therefore taken from a budget, and a
// client that reads less than answerPart within progressWithin is disconnected. A slow but steady client is not.
const (
	smallAnswer    = 32 << 10 // bytes; responses up to this size are sent without the budget
	answerPart     = 32 << 10 // bytes that a client must read within progressWithin
	progressWithin = 15 * time.Second
)

func noop() {}

// takeAnswer takes the size of a response from the budget. It returns a function that gives it back, or the problem to
// respond with.
func (x *exchange) takeAnswer(size int) (giveBack func(), err error) {
	if size <= smallAnswer || x.answers == nil || x.r.Method == http.MethodHead {
		return noop, nil
	}
	n := min(int64(size), x.answers.total/4) // a single response may be larger than the whole budget
	who := x.share()
	if problem := x.answers.take(who, n); problem != nil {
		return nil, problem
	}
	return func() { x.answers.give(who, n) }, nil
}

// writeBody sends the body of a response. It ignores write errors, since the client may be gone.
func (x *exchange) writeBody(all []byte) {
	if len(all) <= smallAnswer {
		_, _ = x.Write(all)
		return
	}
	control := http.NewResponseController(x.ResponseWriter)
	for part := range slices.Chunk(all, answerPart) {
		_ = control.SetWriteDeadline(x.now().Add(progressWithin)) // if unsupported, the server's timeout applies
		if _, err := x.Write(part); err != nil {
			return
		}
	}
}
