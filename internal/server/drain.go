package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// The response is often sent before the request's body is read, for example if it has no token or is too large. If the
// connection were closed while the client still sends, the kernel would reset it, and the client would see a network
// error and send everything again. So the rest of the body is drained after the response: read and discarded for a
// while. To keep this from tying up a replica, it is limited in time, in number, and in bytes per second.
const (
	drainWithin     = 5 * time.Second // for known callers
	drainWithinElse = 2 * time.Second // for other callers
	maxDrains       = 16              // at a time for known callers, and the same number for others
	maxDrainRate    = 256 << 20
	drainBuffer     = 32 << 10
	drainBurst      = 50 * time.Millisecond // allowed lead over the rate
)

// drains reads and discards the rest of request bodies.
type drains struct {
	known, unknown chan struct{}
	buffers        sync.Pool

	mu   sync.Mutex
	free time.Time // when the bytes read so far are within the rate
}

func newDrains() *drains {
	return &drains{
		known: make(chan struct{}, maxDrains), unknown: make(chan struct{}, maxDrains),
		buffers: sync.Pool{New: func() any { return new([drainBuffer]byte) }},
	}
}

// drain sends the response of an exchange and reads the rest of its body, within the limits.
func (d *drains) drain(x *endpoint.Exchange) {
	control := http.NewResponseController(x.ResponseWriter)
	if control.Flush() != nil {
		return
	}
	places, within := d.unknown, drainWithinElse
	if x.Audience == observe.Known {
		places, within = d.known, drainWithin
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return
	}
	end := x.Shared.Now().Add(within)
	if control.SetReadDeadline(end) != nil {
		return
	}
	buffer := d.buffers.Get().(*[drainBuffer]byte)
	defer d.buffers.Put(buffer)
	for x.Shared.Now().Before(end) {
		n, err := x.Request.Body.Read(buffer[:])
		x.BytesIn += int64(n)
		if err != nil {
			return
		}
		if wait := d.pace(n, x.Shared.Now()); wait > 0 {
			time.Sleep(wait)
		}
	}
}

// pace returns how long to wait before reading more, so that all drains together stay within the rate.
func (d *drains) pace(n int, now time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free.Before(now) {
		d.free = now
	}
	d.free = d.free.Add(time.Duration(n) * time.Second / maxDrainRate)
	return d.free.Sub(now) - drainBurst
}
