package logging

import (
	"bytes"
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxQueued is the limit in bytes of an output's queue. A quarter of it is reserved for warnings and errors.
	maxQueued      = 2 << 20
	maxQueuedInfos = maxQueued - maxQueued/4

	// writeBytes is the limit of one write: what a pipe accepts atomically (PIPE_BUF).
	writeBytes = 4 << 10

	keptBuffer = 256 << 10 // a larger buffer is reused only while it is needed

	stalledAfter = 2 * time.Second // an output is stalled once a write takes this long
	droppedFor   = time.Minute     // a replica is degraded for this long after a line is dropped
	flushWithin  = 2 * time.Second
)

// output writes log lines to a writer that may block: a pipe, a terminal, a file on a volume. Lines are queued and
// written by one goroutine, so that callers of add do not wait for the writer:
//
//	add ─▶ queue (bounded) ─▶ run ─▶ out
//
// Lines are written whole and in order. When the queue is full, lines are dropped and counted; a notice with their
// number is written once the queue moves on. An output is safe for concurrent use.
type output struct {
	name   string // in the metric's label and in messages
	out    io.Writer
	end    func() error // closes out after the last write; may be nil
	now    func() time.Time
	notice func(o *output, dropped int64) []byte // returns a line about dropped lines
	failed func(o *output, err error)            // is called with the error of each failed write

	wake chan struct{} // of capacity 1; receives a value when idle ends
	done chan struct{} // closed when nothing more will be written
	err  error         // from end; valid after done

	reported time.Time // when failed last reported; used only by failed

	mu       sync.Mutex
	queue    []byte
	lines    int // queued or being written
	untold   int64
	flushing []chan struct{} // closed when the lines queued before are written
	idle     bool            // run waits for wake
	closed   bool

	dropped   atomic.Int64 // lines since the start
	droppedAt atomic.Int64 // when the last one was, in Unix nanoseconds
	writing   atomic.Int64 // when the current write began, likewise; 0 if none is under way
}

// start starts the goroutine that writes the queued lines. It ends after close.
func (o *output) start() *output {
	o.wake, o.done = make(chan struct{}, 1), make(chan struct{})
	go o.run()
	return o
}

// add queues a copy of one line, or drops it. It does not wait.
func (o *output) add(line []byte, urgent bool) {
	limit := maxQueuedInfos
	if urgent {
		limit = maxQueued
	}
	o.mu.Lock()
	if o.closed || len(o.queue)+len(line) > limit {
		o.untold++
		o.mu.Unlock()
		o.countDropped(1)
		return
	}
	o.queue = append(o.queue, line...)
	o.lines++
	o.awaken()
	o.mu.Unlock()
}

// awaken wakes run. The caller holds the lock.
func (o *output) awaken() {
	if o.idle {
		o.idle = false
		o.wake <- struct{}{}
	}
}

func (o *output) countDropped(n int64) {
	o.dropped.Add(n)
	o.droppedAt.Store(o.now().UnixNano())
}

func (o *output) run() {
	defer close(o.done)
	var buffer []byte
	for {
		b := o.next(buffer)
		o.write(b)
		for _, flushed := range b.flushing {
			close(flushed)
		}
		if b.last {
			break
		}
		if buffer = b.lines[:0]; cap(buffer) > keptBuffer && len(b.lines) < cap(buffer)/4 {
			buffer = nil
		}
	}
	if o.end != nil {
		o.err = o.end()
	}
}

// taken is what run takes from the queue at a time.
type taken struct {
	lines    []byte
	dropped  int64 // number of lines dropped after these
	flushing []chan struct{}
	last     bool
}

// next waits until there is something to do and takes all of it. It uses buffer for the new queue.
func (o *output) next(buffer []byte) taken {
	for {
		o.mu.Lock()
		if len(o.queue) > 0 || len(o.flushing) > 0 || o.closed {
			b := taken{o.queue, o.untold, o.flushing, o.closed}
			o.queue, o.untold, o.flushing = buffer, 0, nil
			o.mu.Unlock()
			return b
		}
		o.idle = true
		o.mu.Unlock()
		<-o.wake
	}
}

func (o *output) write(b taken) {
	fits := true
	for rest := b.lines; len(rest) > 0; {
		var chunk []byte
		chunk, rest = cutLines(rest)
		fits = o.writeLines(chunk, bytes.Count(chunk, newline))
	}
	if b.dropped == 0 {
		return
	}
	if !fits || !o.writeLines(o.notice(o, b.dropped), 0) {
		o.mu.Lock()
		o.untold += b.dropped
		o.mu.Unlock()
	}
}

var newline = []byte{'\n'}

// cutLines returns the whole lines that fit into one write, but at least one line, and the rest.
func cutLines(lines []byte) (chunk, rest []byte) {
	end := len(lines)
	if end > writeBytes {
		end = bytes.LastIndexByte(lines[:writeBytes], '\n') + 1
		if end == 0 {
			end = bytes.IndexByte(lines, '\n') + 1
		}
	}
	return lines[:end], lines[end:]
}

// writeLines reports whether n queued lines were written. If not, they are dropped.
func (o *output) writeLines(lines []byte, n int) bool {
	o.writing.Store(o.now().UnixNano())
	_, err := o.out.Write(lines)
	o.writing.Store(0)
	o.mu.Lock()
	o.lines -= n
	if err != nil {
		o.untold += int64(n)
	}
	o.mu.Unlock()
	if err == nil {
		return true
	}
	o.countDropped(int64(n))
	o.failed(o, err)
	return false
}

// flush waits until the lines added before are written, or ctx is done.
func (o *output) flush(ctx context.Context) {
	flushed := make(chan struct{})
	o.mu.Lock()
	if o.closed {
		flushed = o.done
	} else {
		o.flushing = append(o.flushing, flushed)
		o.awaken()
	}
	o.mu.Unlock()
	select {
	case <-flushed:
	case <-ctx.Done():
	}
}

// close makes the output stop once the queue is written. It does not wait for that: see finish.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed = true
		o.awaken()
	}
}

// finish waits until the closed output has stopped, or ctx is done. It returns the number of lines not written and the
// error from end.
func (o *output) finish(ctx context.Context) (unwritten int, err error) {
	select {
	case <-o.done:
	case <-ctx.Done():
	}
	select {
	case <-o.done:
		return 0, o.err
	default:
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.lines, nil
	}
}

// strain returns the output's current fault as one sentence, or the empty string.
func (o *output) strain() string {
	now := o.now()
	if since := o.writing.Load(); since != 0 && now.Sub(time.Unix(0, since)) >= stalledAfter {
		return "the log output " + o.name + " is stalled: a write to it does not return"
	}
	if at := o.droppedAt.Load(); at != 0 && now.Sub(time.Unix(0, at)) < droppedFor {
		return "log lines for " + o.name + " were dropped in the last minute"
	}
	return ""
}
