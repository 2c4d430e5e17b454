package server

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/input"
)

// body reads a request's body. The bytes read are taken from the budget of all bodies until release is called.
// Request.Body itself is not replaced, because net/http depends on its type.
type body struct {
	from   io.Reader
	size   int64 // Content-Length, or -1 if unknown
	budget *budget
	who    share
	taken  int64
	read   int64
	begun  bool
	ended  bool // all of it was read
	now    func() time.Time
	waited time.Duration // time spent waiting for the client; not part of the response's latency
	busy   *openapi.Problem
	// mayGrow, if not nil, reports whether a body that begins with these bytes may be larger than input.MaxSmallBody.
	mayGrow func(begin []byte) bool
}

// openBody returns a request's body. It is called once the caller is known.
func (s *Server) openBody(x *exchange) *body {
	return &body{from: x.r.Body, size: x.r.ContentLength, budget: s.bodies, who: x.share(), now: x.now}
}

// Read takes the bytes that it reads from the budget. It returns a problem if the budget is used up.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.pass(p)
	if n > 0 {
		if err := b.take(int64(n)); err != nil {
			return 0, err
		}
	}
	return n, err
}

// pass is Read for callers that take the bytes from the budget themselves.
func (b *body) pass(p []byte) (int, error) {
	b.begun = true
	start := b.now()
	n, err := b.from.Read(p)
	b.waited += b.now().Sub(start)
	b.read += int64(n)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

func (b *body) take(n int64) error {
	if b.busy = b.budget.take(b.who, n); b.busy != nil {
		return b.busy
	}
	b.taken += n
	return nil
}

const (
	// firstBuffer is the size of the buffer allocated before anything of a body has arrived.
	firstBuffer = 4 << 10
	// announcedBuffer is the maximum allocated at once, after firstBuffer is full, because of a Content-Length.
	announcedBuffer = 128 << 10
)

// readAll reads the whole body. It takes memory from the budget before allocating it.
func (b *body) readAll(limit int64) (all []byte, err error) {
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
		if b.mayGrow != nil && len(all) >= input.MaxSmallBody {
			if !b.mayGrow(all) {
				return nil, input.ErrTooLarge(input.MaxSmallBody)
			}
			b.mayGrow = nil
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
func (b *body) grown(full, limit int64) int64 {
	grown := 2 * full
	if b.mayGrow == nil && b.size > full {
		grown = max(grown, min(b.size, announcedBuffer)+1) // one more byte, to detect the end
	}
	return min(grown, limit+1)
}

// release gives back what was taken. It is called when the response is sent or the body is no longer needed.
func (b *body) release() { b.giveBack(b.taken) }

func (b *body) giveBack(n int64) {
	b.budget.give(b.who, n)
	b.taken -= n
}

// unread returns the number of bytes of the body that are not yet read, or -1 if it is unknown.
func (b *body) unread(r *http.Request) int64 {
	switch {
	case b.ended || r.ContentLength == 0:
		return 0
	case r.ContentLength < 0:
		return -1
	default:
		return r.ContentLength - b.read
	}
}
