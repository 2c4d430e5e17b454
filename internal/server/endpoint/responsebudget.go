package endpoint

import (
	"net/http"
	"slices"
	"time"
)

// A large response is held in memory until its client has read it. Its size is therefore taken from a budget, and a
// client that reads less than responsePart within ProgressWithin is disconnected. A slow but steady client is not.
const (
	smallResponse  = 32 << 10 // bytes; responses up to this size are sent without the budget
	responsePart   = 32 << 10 // bytes that a client must read within ProgressWithin
	ProgressWithin = 15 * time.Second
)

func noop() {}

// reserve takes the size of a response from the budget. It returns a function that releases it, or the problem to
// respond with.
func (x *Exchange) reserve(size int) (giveBack func(), err error) {
	if size <= smallResponse || x.Shared.Responses == nil || x.Request.Method == http.MethodHead {
		return noop, nil
	}
	n := min(int64(size), x.Shared.Responses.total/4) // a single response may be larger than the whole budget
	who := x.share()
	if problem := x.Shared.Responses.take(who, n); problem != nil {
		return nil, problem
	}
	return func() { x.Shared.Responses.give(who, n) }, nil
}

// writeBody sends the body of a response. It ignores write errors, since the client may be gone.
func (x *Exchange) writeBody(all []byte) {
	if len(all) <= smallResponse {
		_, _ = x.Write(all)
		return
	}
	control := http.NewResponseController(x.ResponseWriter)
	for part := range slices.Chunk(all, responsePart) {
		_ = control.SetWriteDeadline(x.Shared.Now().Add(ProgressWithin)) // if unsupported, the server's timeout applies
		if _, err := x.Write(part); err != nil {
			return
		}
	}
}
