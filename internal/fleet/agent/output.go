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
	headBytes   = 512 << 10 // output kept from the first byte that the server lacks
	tailBytes   = 512 << 10 // and from the newest byte back; what lies between is dropped
	resultBytes = 16 << 10  // the end of the output, for the final report
	chunkBytes  = 256 << 10 // the server's limit
	fullChunk   = 32 << 10  // worth sending at once
	chunkEvery  = time.Second
)

// output is what an attempt has written, on its way to the server. Its memory is bounded: while the server is away
// it keeps the beginning and the end and drops the middle, with a mark in its place. It is clean text: bytes
// that are no UTF-8, and NUL, which the server refuses, are replaced by U+FFFD.
type output struct {
	mu       sync.Mutex
	clean    *transform.Writer // writes to accept, with mu held
	head     []byte            // what the server lacks, from offset on; never altered in place, since it may be on its way
	offset   int64             // of head in the attempt's log
	tail     tail              // what came after head was full
	result   tail
	progress progressScanner
	closed   bool
	discards bool // nobody wants the log any more

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

// Write takes everything, at once.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return len(p), nil
	}
	return o.clean.Write(p)
}

// close ends the output: nothing comes any more.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	_ = o.clean.Close() // The acceptor never fails.
	o.closed = true
	close(o.ended)
}

type acceptor struct{ *output }

// Write takes clean text, with mu held.
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

// next waits for something worth sending: a full chunk, or anything after a second, or the end. It is not ok when there
// will be nothing more, or ctx ended.
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

// peek gives the next chunk without removing it, and whether there is or may be one.
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

// stored says that the server has everything before offset. Where that is nothing we could still send or have sent,
// the log goes on from there with what we have.
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

// discard forgets the log, now and from now on.
func (o *output) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.head, o.discards = nil, true
	o.tail.take()
}

// end is the end of what was written.
func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, _ := o.result.take()
	return string(text)
}

// latest is the last progress that was written, and the message beside it; nil before the first.
func (o *output) latest() *progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.progress.last
}
