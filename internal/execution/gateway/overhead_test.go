package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/execution/spool"
)

// BenchmarkFirstByte compares the time to a response's first text with and without the gateway, alternately, with the same
// upstream on the same machine. It includes the spool, masking and prices, but not HTTP and TLS of the client's connection to
// the server, which any service has.
func BenchmarkFirstByte(b *testing.B) {
	upstream := serve(b, stream(chunk("Hello"), chunk(" Ada"), finish, used, done))
	s, err := spool.Open(spool.Options{Dir: b.TempDir(), Log: zap.NewNop(), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	var delivering sync.WaitGroup
	delivering.Go(func() {
		_ = s.Run(ctx, func(_ context.Context, batch execution.Batch) (execution.Outcome, error) {
			return execution.Outcome{Accepted: len(batch.Executions)}, nil
		})
	})
	b.Cleanup(func() {
		cancel()
		delivering.Wait()
		_ = s.Close()
	})
	f := newFixture(b, openAIAgents(upstream), func(o *gateway.Options) {
		o.Recorder = gateway.SpoolRecorder(s, prepare())
		o.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
		o.Log = zap.NewNop()
	})
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(client.CloseIdleConnections)

	var direct, through []time.Duration
	for b.Loop() {
		direct = append(direct, firstByteOf(b, client, upstream))
		begin, first := time.Now(), time.Duration(0)
		run, err := f.Start(prompt())
		if err != nil {
			b.Fatal(err)
		}
		run.Stream(ctx, func(e execution.Event) error {
			if e.Name == "delta" && first == 0 {
				first = time.Since(begin)
			}
			return nil
		})
		through = append(through, first)
	}
	for _, quantile := range []float64{0.5, 0.99} {
		at := func(all []time.Duration) float64 {
			slices.Sort(all)
			return float64(all[int(float64(len(all)-1)*quantile)].Nanoseconds()) / 1e3
		}
		b.ReportMetric(at(direct), fmt.Sprintf("direct-p%.0f-µs", quantile*100))
		b.ReportMetric(at(through), fmt.Sprintf("gateway-p%.0f-µs", quantile*100))
	}
}

// firstByteOf calls an upstream as a client without a gateway, and reads its response to the end.
func firstByteOf(b *testing.B, client *http.Client, url string) (first time.Duration) {
	b.Helper()
	begin := time.Now()
	body := strings.NewReader(`{"messages":[{"role":"user","content":"Hello"}],"model":"gpt-4o-mini","stream":true}`)
	answer, err := client.Post(url+"/chat/completions", "application/json", body)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	buffer, got := make([]byte, 4<<10), []byte{}
	for {
		n, err := answer.Body.Read(buffer)
		got = append(got, buffer[:n]...)
		if first == 0 && bytes.Contains(got, []byte("Hello")) {
			first = time.Since(begin)
		}
		if err != nil {
			return first
		}
	}
}
