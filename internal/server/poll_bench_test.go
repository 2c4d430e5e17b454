package server

import (
	"net/http"
	"testing"

	"github.com/watchbill/watchbill/internal/fleet"
)

// BenchmarkIdlePoll measures the cost of a poll that finds nothing, without net/http: routing, authentication, the
// mailbox, the interval, recording and logging.
func BenchmarkIdlePoll(b *testing.B) {
	a := newAPI(b, nil)
	token := a.enroll(b, "idle")
	for name, tag := range map[string]string{"empty": "", "not modified": fleet.NothingWaiting} {
		b.Run(name, func(b *testing.B) {
			req := request{method: "GET", path: "/api/deployments/pending/idle", token: token}.http()
			if tag != "" {
				req.Header.Set("If-None-Match", tag)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := discard{header: http.Header{}}
				for pb.Next() {
					clear(w.header)
					a.ServeHTTP(&w, req)
				}
			})
		})
	}
}

// discard is a ResponseWriter that discards everything.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}
