package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/api/openapi"
)

const (
	requestTimeout  = 30 * time.Second
	maxOffer        = 32 << 20 // bytes of a poll's response
	maxResponse     = 64 << 10 // bytes of any other response
	defaultInterval = 10 * time.Second
	minInterval     = 500 * time.Millisecond
	maxInterval     = 2 * time.Hour
)

// client implements the agent protocol. All requests may be repeated: the server recognises a repeated report by its claim
// and a repeated chunk by its offset.
type client struct {
	http       *http.Client
	base       *url.URL
	id         string
	credential *credential
	userAgent  string
	now        func() time.Time
	close      func()
}

func newClient(cfg Config, base *url.URL, log *zap.Logger) *client {
	c := &client{
		base: base, id: cfg.ID, credential: &credential{read: cfg.ReadToken, log: log, token: cfg.Token},
		userAgent: cfg.UserAgent, now: cfg.Now, close: func() {},
	}
	if cfg.HTTPClient != nil {
		own := *cfg.HTTPClient
		c.http = &own
	} else {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		c.http, c.close = &http.Client{Transport: transport}, transport.CloseIdleConnections
	}
	// The token must not be sent to another server.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// polled is the result of a poll.
type polled struct {
	changed  bool // whether work and etag are new
	work     []Work
	etag     string
	interval time.Duration
}

func (c *client) poll(ctx context.Context, etag string, wait time.Duration) (*polled, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout+wait)
	defer cancel()
	req := request{method: http.MethodGet, path: []string{"pending", c.id}, header: http.Header{}, limit: maxOffer}
	if etag != "" {
		req.header.Set("If-None-Match", etag)
	}
	if wait > 0 {
		req.query = url.Values{"wait": {wait.String()}}
	}
	resp, err := c.send(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("poll for work: %w", err)
	}
	if resp.status == http.StatusNotModified {
		return &polled{interval: interval(resp.header, 0)}, nil
	}
	var body struct {
		Deployments         []Work `json:"deployments"`
		PollIntervalSeconds int32  `json:"poll_interval_seconds"`
	}
	if err := json.Unmarshal(resp.body, &body); err != nil {
		return nil, fmt.Errorf("poll for work: decode the response: %w", err)
	}
	return &polled{
		changed: true, work: body.Deployments, etag: resp.header.Get("ETag"),
		interval: interval(resp.header, body.PollIntervalSeconds),
	}, nil
}

// interval returns when the server wants to be polled again. The header is jittered, the body is not.
func interval(h http.Header, fallback int32) time.Duration {
	seconds, err := strconv.ParseFloat(h.Get("Watchbill-Poll-Interval"), 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		seconds = float64(fallback)
	}
	if seconds <= 0 {
		return defaultInterval
	}
	return max(time.Duration(min(seconds, maxInterval.Seconds())*float64(time.Second)), minInterval)
}

func (c *client) report(ctx context.Context, deployment string, report openapi.StatusReport) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("encode a status report: %w", err)
	}
	_, err = c.send(ctx, request{
		method: http.MethodPost, path: []string{deployment, "status"}, limit: maxResponse, body: body,
		header: http.Header{"Content-Type": {"application/json"}},
	})
	if err != nil {
		return fmt.Errorf("report %s: %w", report.Status, err)
	}
	return nil
}

// appendLog stores a chunk and returns the offset of the next.
func (c *client) appendLog(ctx context.Context, w Work, at int64, chunk []byte) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.send(ctx, request{
		method: http.MethodPost, path: []string{w.ID, "logs"}, limit: maxResponse, body: chunk,
		query:  url.Values{"attempt": {strconv.Itoa(int(w.Attempt))}, "offset": {strconv.FormatInt(at, 10)}},
		header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
	})
	if err != nil {
		return 0, fmt.Errorf("append to the log: %w", err)
	}
	var position openapi.LogPosition
	if err := json.Unmarshal(resp.body, &position); err != nil {
		return 0, fmt.Errorf("append to the log: decode the response: %w", err)
	}
	return position.NextOffset, nil
}

type request struct {
	method string
	path   []string // below /api/deployments
	query  url.Values
	header http.Header
	body   []byte
	limit  int64 // maximum bytes of the response
}

type response struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request. It retries once, immediately, if the connection was refused or broken, since it probably was a
// kept-alive one to a replica that stopped, or if the token was rejected and there is a new one.
func (c *client) send(ctx context.Context, r request) (*response, error) {
	token := c.credential.current()
	resp, err := c.once(ctx, r, token)
	if err != nil && isBroken(err) && ctx.Err() == nil {
		resp, err = c.once(ctx, r, token)
	}
	if isStatus(err, http.StatusUnauthorized) && ctx.Err() == nil && c.credential.renew(token) {
		return c.once(ctx, r, c.credential.current())
	}
	return resp, err
}

func (c *client) once(ctx context.Context, r request, token string) (*response, error) {
	u := c.base.JoinPath("api", "deployments")
	for _, segment := range r.path {
		u = u.JoinPath(url.PathEscape(segment))
	}
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	// Not sent; it lets net/http repeat even a POST on another connection.
	req.Header["Idempotency-Key"] = []string{}
	req.Header.Set("Authorization", "Bearer "+token)
	if c.userAgent != "" {
		req.Header.Set("User-Agent", c.userAgent)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	if err != nil {
		return nil, fmt.Errorf("read the response: %w", err)
	}
	if int64(len(body)) > r.limit {
		return nil, fmt.Errorf("the response is over %d bytes", r.limit)
	}
	return c.judge(resp, body)
}

func (c *client) judge(resp *http.Response, body []byte) (*response, error) {
	switch {
	case resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNotModified:
		return &response{status: resp.StatusCode, header: resp.Header, body: body}, nil
	case resp.StatusCode < http.StatusBadRequest:
		return nil, fmt.Errorf("the server responded with %s", resp.Status)
	}
	var problem *openapi.Problem
	errors.As(openapi.ProblemOf(resp, body), &problem)
	refused := &refusal{Problem: problem}
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
		refused.retryAfter = retryAfter(resp.Header, c.now())
	}
	return nil, refused
}

func isBroken(err error) bool {
	for _, broken := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}
