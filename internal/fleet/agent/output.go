package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"github.com/watchbill/watchbill/internal/text"
)

const (
	headBytes   = 512 << 10 // output kept from the first byte not stored by the server
	tailBytes   = 512 << 10 // output kept back from the newest byte; what lies between is dropped
	resultBytes = 16 << 10  // the end of the output, for the final report
	chunkBytes  = 256 << 10 // the server's limit
	fullChunk   = 32 << 10  // worth sending immediately
	chunkEvery  = time.Second
)

// output buffers an attempt's output until the server has stored it. It is bounded: while the server is unreachable it keeps
// the beginning and the end and replaces the middle by a marker. Invalid UTF-8 and NUL, which the server rejects, are
// replaced by U+FFFD.
type output struct {
	mu       sync.Mutex
	clean    *transform.Writer // writes to accept, with mu held
	head     []byte            // output not yet stored, from offset on; never modified in place, since it may be being sent
	offset   int64             // of head in the attempt's log
	tail     tail              // output written after head was full
	result   tail
	progress progressScanner
	closed   bool
	discards bool // the log is no longer needed

	full  chan struct{} // has a value when a full chunk waits
	ended chan struct{} // closed with the output
}

func newOutput() *output {
	o := &output{
		tail: tail{limit: tailBytes}, result: tail{limit: resultBytes},
		full: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	o.clean = transform.NewWriter(acceptor{o}, runes.Map(cleanRune))
	return o
}

// Write accepts all bytes without blocking.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return len(p), nil
	}
	return o.clean.Write(p)
}

// close marks the end of the output.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.clean.Close() // the acceptor never fails
	o.closed = true
	close(o.ended)
}

type acceptor struct{ *output }

// Write accepts clean text. mu is held.
func (o acceptor) Write(p []byte) (int, error) {
	o.progress.scan(p)
	o.result.add(p)
	if o.discards {
		return len(p), nil
	}
	rest := p
	if o.tail.empty() {
		fits := text.Cut(rest, max(headBytes-len(o.head), 0)) // a mark may have made it longer
		o.head = append(o.head, fits...)
		rest = rest[len(fits):]
	}
	o.tail.add(rest)
	o.signal()
	return len(p), nil
}

// next waits for a chunk to send: a full one, or any bytes after a second or at the end. ok is false if there is nothing
// more or ctx is done.
func (o *output) next(ctx context.Context) (at int64, chunk []byte, ok bool) {
	for {
		due := time.NewTimer(chunkEvery)
		select {
		case <-ctx.Done():
		case <-o.full:
		case <-o.ended:
		case <-due.C:
		}
		due.Stop()
		if ctx.Err() != nil {
			return 0, nil, false
		}
		at, chunk, more := o.peek()
		if len(chunk) > 0 || !more {
			return at, chunk, more
		}
	}
}

// peek returns the next chunk without removing it, and whether there is or may be one.
func (o *output) peek() (at int64, chunk []byte, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.head) == 0 && !o.tail.empty() {
		text, dropped := o.tail.take()
		if dropped > 0 {
			o.head = fmt.Appendf(nil, "\n[watchbill: %d bytes of output dropped here]\n", dropped)
		}
		o.head = append(o.head, text...)
	}
	chunk = text.Cut(o.head, chunkBytes)
	return o.offset, slices.Clip(chunk), len(chunk) > 0 || !o.closed
}

// stored records that the server has everything before offset. If the offset is outside what is buffered or was sent, the
// log continues from there with what is buffered.
func (o *output) stored(offset int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := offset - o.offset; n > 0 && n <= int64(len(o.head)) {
		o.head = o.head[n:]
	}
	if len(o.head) == 0 {
		o.head = nil
	}
	o.offset = offset
	o.signal()
}

func (o *output) signal() {
	if len(o.head) < fullChunk && o.tail.empty() {
		return
	}
	select {
	case o.full <- struct{}{}:
	default:
	}
}

// discard drops the log and all later output.
func (o *output) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.head, o.discards = nil, true
	o.tail.take()
}

// end returns the end of the output.
func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, _ := o.result.take()
	return string(text)
}

// latest returns the last reported progress, or nil.
func (o *output) latest() *progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.progress.last
}
