package server

import (
	"net/http"
	"slices"
	"time"
)

// A large answer is held in memory for as long as its client takes to read it. So it takes its size from a budget, and a
// client that reads nothing for a while is cut off. One that reads slowly but steadily is not.
const (
	smallAnswer    = 32 << 10 // bytes of an answer that is sent whatever else is under way
	answerPart     = 32 << 10 // bytes that a client must read within progressWithin
	progressWithin = 15 * time.Second
)

func noop() {}

// takeAnswer takes the memory of an answer from the budget. It returns what gives it back, or the problem to answer with.
func (x *exchange) takeAnswer(size int) (giveBack func(), err error) {
	if size <= smallAnswer || x.answers == nil || x.r.Method == http.MethodHead {
		return noop, nil
	}
	n := min(int64(size), x.answers.total/4) // one answer alone may be larger than all that is to be held
	who := x.share()
	if problem := x.answers.take(who, n); problem != nil {
		return nil, problem
	}
	return func() { x.answers.give(who, n) }, nil
}

// writeBody sends the body of an answer. That the client may be gone is its own affair.
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
