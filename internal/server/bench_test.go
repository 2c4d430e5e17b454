package server

import (
	"net/http"
	"testing"

	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// BenchmarkChain measures the overhead of every request, with an endpoint that does nothing: the endpoint.Exchange, its id and
// headers, routing, recording and the request log (in which idle polls are sampled). BenchmarkIdlePoll adds
// authentication and the mailbox.
func BenchmarkChain(b *testing.B) {
	a := newAPI(b, nil)
	place, _ := a.root.find("/livez")
	place.methods["GET"].Serve = func(x *endpoint.Exchange) error {
		x.Idle = true
		x.WriteHeader(http.StatusNoContent)
		return nil
	}
	req := request{method: "GET", path: "/livez"}.http()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w := discard{header: http.Header{}}
		for pb.Next() {
			clear(w.header)
			a.ServeHTTP(&w, req)
		}
	})
}
