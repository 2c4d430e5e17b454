package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/observe"
)

// A request is often answered before its body is read: it has no token, or the body is too large. If the connection is then
// closed while the client still sends, the kernel resets it, and the client takes that for a broken network and sends all
// of it again. So the answer is sent at once, and what still comes is read and dropped for a while. Reading must not become
// a way to keep a replica busy: it is limited in time, in number, and in bytes a second.
const (
	drainWithin           = 5 * time.Second // of a caller that is known
	drainWithinElse       = 2 * time.Second
	maxDrains             = 16 // at once, of callers that are known, and as many of others
	maxDrainRate          = 256 << 20
	drainBuffer           = 32 << 10
	drainBurst            = 50 * time.Millisecond // of what the rate allows
	maxLeftover     int64 = 256 << 10             // bytes that net/http reads itself, and keeps the connection
)

// drains reads what is left of bodies.
type drains struct {
	known, unknown chan struct{}
	buffers        sync.Pool

	mu   sync.Mutex
	free time.Time // when what was read so far is within the rate
}

func newDrains() *drains {
	return &drains{
		known: make(chan struct{}, maxDrains), unknown: make(chan struct{}, maxDrains),
		buffers: sync.Pool{New: func() any { return new([drainBuffer]byte) }},
	}
}

// drain sends the answer of an exchange and reads what is left of its body, for as long as that is allowed.
func (d *drains) drain(x *exchange) {
	control := http.NewResponseController(x.ResponseWriter)
	if control.Flush() != nil {
		return
	}
	places, within := d.unknown, drainWithinElse
	if x.audience == observe.Known {
		places, within = d.known, drainWithin
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return
	}
	end := x.now().Add(within)
	if control.SetReadDeadline(end) != nil {
		return
	}
	buffer := d.buffers.Get().(*[drainBuffer]byte)
	defer d.buffers.Put(buffer)
	for x.now().Before(end) {
		n, err := x.r.Body.Read(buffer[:])
		x.bytesIn += int64(n)
		if err != nil {
			return
		}
		if wait := d.pace(n, x.now()); wait > 0 {
			time.Sleep(wait)
		}
	}
}

// pace returns how long to wait before more is read, for all drains together to keep to the rate.
func (d *drains) pace(n int, now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free.Before(now) {
		d.free = now
	}
	d.free = d.free.Add(time.Duration(n) * time.Second / maxDrainRate)
	return d.free.Sub(now) - drainBurst
}

// leavesBody reports whether more of the body is left than net/http would read.
func (x *exchange) leavesBody() bool {
	if x.r.ContentLength == 0 || x.r.ProtoMajor != 1 {
		return false
	}
	left := x.r.ContentLength
	if x.body != nil {
		left = x.body.unread(x.r)
	}
	return left < 0 || left > maxLeftover
}
