package endpoint

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/input"
)

// Body reads a request's body. The bytes read are taken from the budget of all bodies until Release is called.
// Request.Body itself is not replaced, because net/http depends on its type.
type Body struct {
	from   io.Reader
	size   int64 // Content-Length, or -1 if unknown
	budget *Budget
	who    share
	taken  int64
	read   int64
	begun  bool
	ended  bool // all of it was read
	now    func() time.Time
	Waited time.Duration    // time spent waiting for the client; not part of the response's latency
	Busy   *openapi.Problem // set if the budget is used up
	// MayGrow, if not nil, reports whether a body that begins with these bytes may be larger than input.MaxSmallBody.
	MayGrow func(begin []byte) bool
}

// OpenBody sets the exchange's body. It is called once the caller is known.
func (x *Exchange) OpenBody() {
	x.Body = &Body{
		from: x.Request.Body, size: x.Request.ContentLength, budget: x.Shared.Bodies, who: x.share(), now: x.Shared.Now,
	}
}

// Read takes the bytes that it reads from the budget. It returns a problem if the budget is used up.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.pass(p)
	if n > 0 {
		if err := b.take(int64(n)); err != nil {
			return 0, err
		}
	}
	return n, err
}

// pass is Read for callers that take the bytes from the budget themselves.
func (b *Body) pass(p []byte) (int, error) {
	b.begun = true
	start := b.now()
	n, err := b.from.Read(p)
	b.Waited += b.now().Sub(start)
	b.read += int64(n)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

func (b *Body) take(n int64) error {
	if b.Busy = b.budget.take(b.who, n); b.Busy != nil {
		return b.Busy
	}
	b.taken += n
	return nil
}

const (
	// firstBuffer is the size of the buffer allocated before anything of a body has arrived.
	firstBuffer = 4 << 10
	// announcedBuffer is the maximum allocated at once, after firstBuffer is full, because of a content-Length.
	announcedBuffer = 128 << 10
)

// readAll reads the whole body. It takes memory from the budget before allocating it.
func (b *Body) readAll(limit int64) (all []byte, err error) {
	size := min(limit, firstBuffer-1) + 1 // one more byte, to detect the end
	if err := b.take(size); err != nil {
		return nil, err
	}
	all = make([]byte, 0, size)
	for {
		n, err := b.pass(all[len(all):cap(all)])
		all = all[:len(all)+n]
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case int64(len(all)) > limit:
			return nil, input.ErrTooLarge(limit)
		case len(all) < cap(all):
			continue
		}
		if b.MayGrow != nil && len(all) >= input.MaxSmallBody {
			if !b.MayGrow(all) {
				return nil, input.ErrTooLarge(input.MaxSmallBody)
			}
			b.MayGrow = nil
		}
		grown := b.grown(int64(cap(all)), limit)
		if err := b.take(grown); err != nil {
			return nil, err
		}
		was := int64(cap(all))
		all = append(make([]byte, 0, grown), all...)
		b.giveBack(was)
	}
}

// grown returns the size of the buffer that replaces a full one.
func (b *Body) grown(full, limit int64) int64 {
	grown := 2 * full
	if b.MayGrow == nil && b.size > full {
		grown = max(grown, min(b.size, announcedBuffer)+1) // one more byte, to detect the end
	}
	return min(grown, limit+1)
}

// Release returns the bytes to the budget. It is called when the response is sent or the body is no longer needed.
func (b *Body) Release() { b.giveBack(b.taken) }

func (b *Body) giveBack(n int64) {
	b.budget.give(b.who, n)
	b.taken -= n
}

// unread returns the number of bytes of the body that are not yet read, or -1 if it is unknown.
func (b *Body) unread(r *http.Request) int64 {
	switch {
	case b.ended || r.ContentLength == 0:
		return 0
	case r.ContentLength < 0:
		return -1
	default:
		return r.ContentLength - b.read
	}
}
