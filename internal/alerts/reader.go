package alerts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keepFor   = 5 * time.Second // a snapshot
	within    = 5 * time.Second // of a read, with all its requests
	maxBody   = 4 << 20         // bytes of a response
	maxHeader = 64 << 10        // bytes
	maxToken  = 16 << 10        // bytes of the token's file
)

// Options configures a Reader.
type Options struct {
	URL       string // of a Prometheus or an Alertmanager; empty: alerts are not configured
	TokenFile string // of a bearer token, read for each request; may be empty
	Now       func() time.Time
}

// Reader reads the active alerts when asked, and keeps them for a few seconds. All callers share one read.
type Reader struct {
	opts   Options
	base   *url.URL // nil if alerts are not configured
	client *http.Client

	mu      sync.Mutex
	kind    Kind // the last that responded; empty if unknown
	last    Snapshot
	reading chan struct{} // closed when the read under way ends; nil if there is none
	reads   sync.WaitGroup
	ctx     context.Context //nolint:containedctx // of reads, which outlive the caller that began them
	stop    context.CancelFunc
}

// New returns a Reader. The options must be valid; see Check.
func New(opts Options) (*Reader, error) {
	r := &Reader{opts: opts}
	r.ctx, r.stop = context.WithCancel(context.Background())
	if opts.URL == "" {
		return r, nil
	}
	base, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	r.base = base
	r.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: within}).DialContext,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           1,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxHeader,
		},
		// The operator chose the address; the server there does not choose another one.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return r, nil
}

// Check returns an error unless the URL and the token's file can be used.
func Check(opts Options) error {
	if opts.URL == "" {
		if opts.TokenFile != "" {
			return errors.New("--alerts-token-file: needs --alerts-url")
		}
		return nil
	}
	base, err := parseURL(opts.URL)
	if err != nil {
		return err
	}
	if opts.TokenFile != "" && base.User != nil {
		return errors.New("--alerts-token-file: --alerts-url has a user and a password already")
	}
	if _, err := opts.token(); err != nil {
		return fmt.Errorf("--alerts-token-file: %w", err)
	}
	return nil
}

// Secret returns the password in a URL, or "".
func Secret(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}

// parseURL parses the base URL of a server. Its errors do not contain the URL, which may have a password.
func parseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" {
		return nil, errors.New("--alerts-url: must be the URL of a Prometheus or an Alertmanager, such as http://prometheus:9090")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("--alerts-url: must have no query and no fragment")
	}
	path := strings.TrimRight(u.Path, "/")
	for _, kind := range kinds {
		path = strings.TrimSuffix(path, paths[kind])
	}
	u.Path, u.RawPath = path, ""
	return u, nil
}

// token returns the token in the file, or "" without one.
func (o Options) token() (string, error) {
	if o.TokenFile == "" {
		return "", nil
	}
	info, err := os.Stat(o.TokenFile)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return "", fmt.Errorf("%s is not a regular file", o.TokenFile)
	}
	file, err := os.Open(o.TokenFile)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxToken+1))
	token := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", err
	case token == "" || len(content) > maxToken || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return "", fmt.Errorf("%s must have one token of printable ASCII, at most %d bytes", o.TokenFile, maxToken)
	}
	return token, nil
}

// Close ends the read under way and closes idle connections.
func (r *Reader) Close() {
	r.stop()
	r.reads.Wait()
	if r.client != nil {
		r.client.CloseIdleConnections()
	}
}

// Active returns the active alerts, which are at most a few seconds old. It returns an error only if ctx is done. That
// the alerts cannot be read is a Fault of the Snapshot, since the caller cannot do anything about it.
func (r *Reader) Active(ctx context.Context) (Snapshot, error) {
	if r.base == nil {
		return Snapshot{Taken: r.opts.Now()}, nil
	}
	for {
		r.mu.Lock()
		if age := r.opts.Now().Sub(r.last.Taken); !r.last.Taken.IsZero() && age >= 0 && age < keepFor {
			defer r.mu.Unlock()
			return r.last, nil
		}
		if r.ctx.Err() != nil {
			r.mu.Unlock()
			return Snapshot{}, r.ctx.Err()
		}
		if r.reading == nil {
			r.reading = make(chan struct{})
			r.reads.Go(r.read)
		}
		done := r.reading
		r.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
			return Snapshot{}, ctx.Err()
		}
	}
}

// read reads the alerts into r.last.
func (r *Reader) read() {
	ctx, cancel := context.WithTimeout(r.ctx, within)
	defer cancel()
	r.mu.Lock()
	kind := r.kind
	r.mu.Unlock()
	found, kind, err := r.fetchAny(ctx, kind)
	next := Snapshot{Configured: true, Kind: kind, Taken: r.opts.Now()}
	if err != nil {
		next.Fault = err.Error()
	}
	slices.SortStableFunc(found, byUrgency)
	next.Total = len(found)
	for _, a := range found {
		if a.State == Firing {
			next.Firing++
		}
	}
	next.Alerts = found[:min(len(found), MaxAlerts)]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kind, r.last = kind, next
	close(r.reading)
	r.reading = nil
}

// kinds are the kinds in the order in which they are tried.
var kinds = []Kind{Alertmanager, Prometheus}

var paths = map[Kind]string{Alertmanager: "/api/v2/alerts", Prometheus: "/api/v1/alerts"}

// fetchAny reads the alerts from a server of a kind that may be known, and returns its kind.
func (r *Reader) fetchAny(ctx context.Context, known Kind) ([]Alert, Kind, error) {
	if known != "" {
		found, err := r.fetch(ctx, known)
		if !errors.Is(err, errNoSuchAPI) {
			return found, known, err
		}
	}
	for _, kind := range kinds {
		found, err := r.fetch(ctx, kind)
		switch {
		case errors.Is(err, errNoSuchAPI) || errors.Is(err, errNotAlerts): // such as a page for people
			continue
		case err != nil:
			return nil, known, err
		}
		return found, kind, nil
	}
	return nil, "", fmt.Errorf("%s has neither the API of an Alertmanager (%s) nor of a Prometheus (%s)", r.origin(), paths[Alertmanager], paths[Prometheus])
}

// errNoSuchAPI is returned if a server is of another kind.
var errNoSuchAPI = errors.New("the server has no such API")

// fetch reads the alerts of a server of a kind. Its errors contain neither credentials nor what the server wrote.
func (r *Reader) fetch(ctx context.Context, kind Kind) ([]Alert, error) {
	token, err := r.opts.token()
	if err != nil {
		return nil, errors.New("the token's file cannot be read; see --alerts-token-file")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base.JoinPath(paths[kind]).String(), http.NoBody)
	if err != nil {
		return nil, errors.New("the URL of --alerts-url is invalid")
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("User-Agent", "watchbill")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %s", r.origin(), reason(ctx, err))
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return nil, fmt.Errorf("%s redirects (status %d); set --alerts-url to the address that it redirects to", r.origin(), answer.StatusCode)
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%s rejects the credentials (status %d)", r.origin(), answer.StatusCode)
	case answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.StatusCode != http.StatusRequestTimeout && answer.StatusCode != http.StatusTooManyRequests:
		return nil, errNoSuchAPI
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s responded with status %d", r.origin(), answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the response of %s: %s", r.origin(), reason(ctx, err))
	case len(body) > maxBody:
		return nil, fmt.Errorf("the response of %s is larger than %d bytes", r.origin(), maxBody)
	}
	found, err := decode(kind, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.origin(), err)
	}
	return found, nil
}

// origin returns the server's address without credentials or a path.
func (r *Reader) origin() string { return r.base.Scheme + "://" + r.base.Host }

// reason returns why a request failed, without its URL.
func reason(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Sprintf("no response within %s", within)
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	return err.Error()
}
