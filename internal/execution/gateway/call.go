package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxRedirects   = 3
	maxHeaderBytes = 64 << 10
	maxErrorBody   = 4 << 10         // bytes read of an error response
	drainWithin    = time.Second / 4 // time to read the rest of a finished response
	drainBytes     = 16 << 10
	maxAfter       = 16 << 20       // bytes read of a response after the client left
	longestRetry   = 24 * time.Hour // a longer Retry-After is ignored

	eventStream = "text/event-stream"
	plainText   = "text/plain"
	jsonType    = "application/json"
)

// call is the part of a run that a kind sees.
type call struct {
	ctx         context.Context
	cancel      context.CancelCauseFunc
	client      *http.Client
	id          string // the execution's
	traceparent string
	prompt      execution.Prompt
	options     map[string]json.RawMessage
	now         func() time.Time

	parts  chan<- string
	limit  int // maximum bytes of output
	output strings.Builder

	idle     *time.Timer // running while waiting for the upstream
	patience time.Duration
	body     io.ReadCloser

	left  *atomic.Bool // whether the client left
	after int64        // bytes read since
}

// say forwards a part of the output to the client.
func (c *call) say(part string) error {
	part = clean(part)
	if part == "" {
		return nil
	}
	if room := c.limit - c.output.Len(); len(part) > room {
		c.output.WriteString(text.Cut(part, room))
		return c.tooLarge()
	}
	c.output.WriteString(part)
	select {
	case c.parts <- part:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *call) tooLarge() error {
	return failed("output_too_large", "the response is over %d bytes", c.limit)
}

// post sends a request and returns the response's header; its body is read from the call. A response that is not a success
// is an error, from which the secrets are removed.
func (c *call) post(url string, body []byte, header http.Header, secrets []string) (http.Header, error) {
	request, err := http.NewRequestWithContext(c.ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	header.Set("Content-Type", jsonType)
	header.Set("User-Agent", "watchbill")
	// It lets agents recognise duplicates, and net/http retry a request on a connection that was just closed.
	header.Set("Idempotency-Key", c.id)
	c.idle.Reset(c.patience)
	answer, err := c.client.Do(request) //nolint:bodyclose // release closes it
	c.idle.Stop()
	if err != nil {
		return nil, err
	}
	c.body = answer.Body
	if encoding := answer.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, malformed("the upstream's response is compressed with %q, which was not requested", asName(withoutSecrets(encoding, secrets), 40))
	}
	if answer.StatusCode/100 != 2 {
		return nil, c.refusal(answer, secrets)
	}
	return answer.Header, nil
}

// refusal returns the error of an unsuccessful response, with its message.
func (c *call) refusal(answer *http.Response, secrets []string) error {
	status := answer.StatusCode
	output, _ := io.ReadAll(io.LimitReader(c, maxErrorBody)) // as much as could be read
	message := fmt.Sprintf("the upstream responded with %d %s", status, http.StatusText(status))
	if text := excerpt(errorText(output), secrets); text != "" {
		message += ": " + text
	}
	if status/100 == 3 {
		message += "; redirects to another place are not followed"
	}
	f := failed("upstream_"+strconv.Itoa(status), "%s", message)
	if f.retryAfter = retryAfter(answer.Header, c.now()); f.retryAfter > 0 {
		f.message += "; Retry-After: " + f.retryAfter.String()
	}
	return f
}

// errorText returns the message of an error body in the usual JSON forms, or the body itself.
func errorText(body []byte) string {
	var problem struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  string          `json:"detail"`
	}
	if err := json.Unmarshal(body, &problem); err != nil {
		return string(body)
	}
	var inner struct {
		Message string `json:"message"`
	}
	var text string
	switch {
	case json.Unmarshal(problem.Error, &inner) == nil && inner.Message != "":
		return inner.Message
	case json.Unmarshal(problem.Error, &text) == nil && text != "":
		return text
	case problem.Message != "":
		return problem.Message
	case problem.Detail != "":
		return problem.Detail
	}
	return string(body)
}

// retryAfter parses the header in both forms (RFC 9110, 10.2.3). It returns zero if it is missing or invalid.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now).Round(time.Second)
	}
	if wait < 0 || wait > longestRetry {
		return 0
	}
	return wait
}

// Read reads the response's body. It fails if the upstream sends nothing for too long.
func (c *call) Read(p []byte) (int, error) {
	c.idle.Reset(c.patience)
	defer c.idle.Stop()
	n, err := c.body.Read(p)
	if c.left.Load() {
		if c.after += int64(n); c.after > maxAfter {
			return n, errGone
		}
	}
	return n, err
}

// readAll reads the whole body.
func (c *call) readAll() ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(c, int64(c.limit)+1))
	if err != nil {
		return nil, err
	}
	if len(body) > c.limit {
		return nil, c.tooLarge()
	}
	return body, nil
}

// release releases the connection, for reuse if the response ends soon.
func (c *call) release() {
	if c.body == nil {
		return
	}
	stop := time.AfterFunc(drainWithin, func() { c.cancel(nil) })
	defer stop.Stop()
	_, _ = io.CopyN(io.Discard, c.body, drainBytes)
	_ = c.body.Close()
}

// mediaType returns the response's media type. It returns an error if it is not one of those wanted.
func mediaType(header http.Header, secrets []string, wanted ...string) (string, error) {
	given := header.Get("Content-Type")
	parsed, _, err := mime.ParseMediaType(given)
	if err == nil && strings.HasPrefix(parsed, "application/") && strings.HasSuffix(parsed, "+json") {
		parsed = jsonType
	}
	for _, want := range wanted {
		if err == nil && parsed == want {
			return want, nil
		}
	}
	return "", malformed("the upstream's content type is %q, not %s", asName(withoutSecrets(given, secrets), 100), strings.Join(wanted, " or "))
}

// newTransport returns the transport to the upstreams.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// checkRedirect follows redirects that repeat the request at the same origin. Other origins would receive the key, and
// redirects to GET lose the prompt: those responses are treated as the upstream's.
func checkRedirect(request *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || request.Method != first.Method ||
		request.URL.Scheme != first.URL.Scheme || request.URL.Host != first.URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// traceparent returns the header that makes an agent's own spans children of this execution (W3C Trace Context).
func traceparent(e execution.Execution) string {
	if e.TraceID == "" || e.SpanID == "" {
		return ""
	}
	return "00-" + e.TraceID + "-" + e.SpanID + "-01"
}
