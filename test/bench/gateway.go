package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/test/rig"
)

// gatewayOverhead compares the time to the first word of a response through the gateway with that of a direct call to
// the upstream, call by call. The upstream is a fake that implements OpenAI's API and responds immediately.
func gatewayOverhead(ctx context.Context, b *bench) (_ []figure, err error) {
	upstream, stop, err := startUpstream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	agents := filepath.Join(b.dir, "agents.yaml")
	if err := os.WriteFile(agents, fmt.Appendf(nil, `agents:
- name: writer
  types: ["*"]
  kind: openai
  openai: {base_url: "http://%s/v1", model: gpt-4o-mini}
`, upstream), 0o644); err != nil {
		return nil, err
	}
	i, err := b.install(ctx, "gateway", 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, i.close()) }()
	if err := i.serve(ctx, b, "--agents-file", agents); err != nil {
		return nil, err
	}

	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	direct := call{
		client, "http://" + upstream + "/v1/chat/completions", "",
		`{"messages":[{"role":"user","content":"Say hello"}],"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true}}`, "[DONE]",
	}
	through := call{
		client, i.server.URL + "/api/ai/process-stream", "Bearer " + rig.IngestToken,
		`{"type":"greeting","user_id":"user-0001","message":"Say hello"}`, "event: completed",
	}
	var directly, throughIt []float64
	calls := or(b, 3000, 300)
	for n := range calls + calls/10 {
		one, err := direct.firstWord(ctx)
		if err != nil {
			return nil, fmt.Errorf("the upstream: %w", err)
		}
		other, err := through.firstWord(ctx)
		if err != nil {
			return nil, fmt.Errorf("the gateway: %w", err)
		}
		if n >= calls/10 { // earlier calls are a warm-up
			directly, throughIt = append(directly, one.Seconds()*1e3), append(throughIt, other.Seconds()*1e3)
		}
	}
	b.logf("first word directly: p50 %.3f ms, p99 %.3f ms; through the gateway: %.3f ms, %.3f ms",
		quantile(directly, 0.5), quantile(directly, 0.99), quantile(throughIt, 0.5), quantile(throughIt, 0.99))
	return []figure{
		{"gateway_first_byte_overhead_ms_p50", quantile(throughIt, 0.5) - quantile(directly, 0.5), "ms", atMost(0.5)},
		{"gateway_first_byte_overhead_ms_p99", quantile(throughIt, 0.99) - quantile(directly, 0.99), "ms", atMost(3)},
	}, nil
}

func quantile(values []float64, q float64) float64 {
	return slices.Sorted(slices.Values(values))[int(float64(len(values)-1)*q)]
}

// firstWord is the beginning of the upstream's response.
const firstWord = "Hello"

// call is a request with a response that is a stream of events.
type call struct {
	client             *http.Client
	url, authorization string
	body               string
	last               string // contained in the last event
}

// firstWord makes the call, reads its response to the end and returns the time until the first word.
func (c call) firstWord(ctx context.Context) (first time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, strings.NewReader(c.body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if c.authorization != "" {
		request.Header.Set("Authorization", c.authorization)
	}
	began := time.Now()
	response, err := c.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var got []byte
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		got = append(got, line...)
		if first == 0 && bytes.Contains(line, []byte(firstWord)) {
			first = time.Since(began)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
	}
	if response.StatusCode != http.StatusOK || first == 0 || !bytes.Contains(got, []byte(c.last)) {
		return 0, fmt.Errorf("%s: %.500s", response.Status, got)
	}
	return first, nil
}

// startUpstream serves chat completions on a port of loopback until stop is called.
func startUpstream(ctx context.Context) (address string, stop func() error, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(completeChat)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return listener.Addr().String(), func() error {
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}, nil
}

// completeChat sends a stream of a few words.
func completeChat(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client has disconnected
	}
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(data string) {
		_, _ = fmt.Fprintf(w, "data: %s\n\n", data) // likewise
		_ = http.NewResponseController(w).Flush()
	}
	const chunk = `{"id":"chat-1","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`
	for _, word := range []string{firstWord, ", ", "student", "."} {
		send(fmt.Sprintf(chunk, word))
	}
	send(`{"id":"chat-1","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	send(`{"id":"chat-1","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}`)
	send("[DONE]")
}
