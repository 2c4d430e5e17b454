package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
)

// pipe is an upstream within the process, for use in a synctest bubble.
type pipe struct {
	mediaType string
	body      io.ReadCloser
}

func (p pipe) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	go func() {
		<-r.Context().Done()
		_ = p.body.Close()
	}()
	return &http.Response{
		Status: "200 OK", StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: -1,
		Header: http.Header{"Content-Type": {p.mediaType}}, Body: p.body,
	}, nil
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		file := strings.Replace(openAIAgents("http://upstream"), "timeout: 10s", "timeout: 10m\n  idle_timeout: 2m", 1)
		f := newFixture(t, file, func(o *gateway.Options) { o.Transport = pipe{"text/event-stream", in} })
		go func() {
			time.Sleep(40 * time.Second)
			_, _ = io.WriteString(out, chunk("a"))
			time.Sleep(20 * time.Second)
			_, _ = io.WriteString(out, chunk("b")+finish+done)
		}()
		run, err := f.Start(prompt())
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		var got []string
		run.Stream(t.Context(), func(e execution.Event) error {
			got = append(got, time.Since(begin).Truncate(time.Second).String()+" "+e.Name)
			return nil
		})
		want := []string{"0s started", "15s ", "30s ", "40s delta", "55s ", "1m0s delta", "1m0s completed"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// A client that reads slowly does not count as a stalled upstream.
func TestSlowClientIsNotReportedAsIdleUpstream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, out := io.Pipe()
		file := strings.Replace(openAIAgents("http://upstream"), "timeout: 10s", "timeout: 10m\n  idle_timeout: 5s", 1)
		f := newFixture(t, file, func(o *gateway.Options) { o.Transport = pipe{"text/event-stream", in} })
		go func() { _, _ = io.WriteString(out, chunk("a")+chunk("b")+finish+done) }()
		run, err := f.Start(prompt())
		if err != nil {
			t.Fatal(err)
		}
		run.Stream(t.Context(), func(execution.Event) error {
			time.Sleep(30 * time.Second)
			return nil
		})
		if got := f.all()[0]; got.Status != execution.Success {
			t.Errorf("record: want success, got %+v", got)
		}
	})
}
