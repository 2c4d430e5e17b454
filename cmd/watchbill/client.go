package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxResponse = 64 << 20 // bytes of a response
	maxSecret   = 64 << 10 // bytes of a token file
	maxCAFile   = 4 << 20  // bytes

	adminToken = "admin token" // its name in messages
)

// connection holds the address of a server and how to connect to it.
type connection struct {
	server, caFile string
}

func (c *connection) bind(flags *pflag.FlagSet) {
	flags.StringVar(&c.server, "server", "http://localhost:8080", "`URL` of the Watchbill API")
	flags.StringVar(&c.caFile, "ca-file", "", "PEM `file` of certificate authorities to trust in addition to the system's")
}

// transport checks the flags of the connection. It returns nil if they are wrong.
func (c *connection) transport(wrong *faults) *http.Transport {
	u, err := url.Parse(c.server)
	switch {
	case err == nil && u.User != nil:
		wrong.add(true, "--server", "must not hold a user or password")
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "":
		wrong.add(true, "--server", "must be a URL such as https://watchbill.example, not %q", text.FitRunes(c.server, 80))
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.caFile == "" {
		return transport
	}
	pem, err := readBounded(c.caFile, maxCAFile)
	if err != nil {
		wrong.keep("--ca-file", err)
		return nil
	}
	authorities, err := x509.SystemCertPool()
	if err != nil {
		authorities = x509.NewCertPool()
	}
	wrong.add(!authorities.AppendCertsFromPEM(pem), "--ca-file", "%s has no certificate in PEM", c.caFile)
	transport.TLSClientConfig = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	return transport
}

// access holds the flags that a command needs to use the API as the administrator.
type access struct {
	connection            connection
	adminToken, tokenFile string
	timeout               time.Duration
}

func (a *access) bind(flags *pflag.FlagSet) {
	a.connection.bind(flags)
	flags.StringVar(&a.adminToken, "admin-token", "", "admin `token` (set $ADMIN_TOKEN instead: a command line is visible to other users)")
	flags.StringVar(&a.tokenFile, "token-file", "", "`file` that holds the admin token; takes precedence over $ADMIN_TOKEN")
	flags.DurationVar(&a.timeout, "timeout", time.Minute, "how long to wait for each response of the server")
}

// client returns a client, or nil if a flag is wrong.
func (a *access) client(wrong *faults) *client {
	return a.clientFor(wrong, adminToken, a.adminToken, "ADMIN_TOKEN or --token-file")
}

// clientFor returns a client with the given token or the one in the token file. kind and source are used in the error
// if there is none.
func (a *access) clientFor(wrong *faults, kind, token, source string) *client {
	token, err := readToken(token, a.tokenFile)
	wrong.keep("--token-file", err)
	wrong.add(err == nil && token == "", "no "+kind, "set %s", source)
	wrong.add(a.timeout <= 0, "--timeout", "must be positive")
	transport := a.connection.transport(wrong)
	if len(*wrong) > 0 {
		return nil
	}
	return newClient(&exchange{server: strings.TrimSuffix(a.connection.server, "/"), token: token, tokenSource: source, tokenKind: kind, timeout: a.timeout}, transport)
}

// readToken returns the token in the file if one is named, and otherwise the given one. Of several tokens, which
// servers accept during a rotation, it returns the first.
func readToken(given, file string) (string, error) {
	if file != "" {
		content, err := readBounded(file, maxSecret)
		if err != nil {
			return "", err
		}
		if given = strings.TrimSpace(string(content)); given == "" {
			return "", fmt.Errorf("%s is empty", file)
		}
	}
	first, _, _ := strings.Cut(given, ",")
	first = strings.TrimSpace(first)
	if strings.ContainsFunc(first, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", errors.New("the token contains a character that tokens do not have, such as a space or a line break")
	}
	return first, nil
}

// readBounded reads a file of up to most bytes.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, file, limit)
}

func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is over %d bytes", name, limit)
	}
	return content, nil
}

// client calls the API. Its methods return an error for every error response.
type client struct {
	*openapi.Client
	exchange *exchange
}

func newClient(e *exchange, transport *http.Transport) *client {
	e.http = http.Client{
		Transport: transport, Timeout: e.timeout,
		// The token must not be sent to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &client{exchange: e, Client: &openapi.Client{
		Server: e.server + "/", Client: e,
		RequestEditors: []openapi.RequestEditorFn{func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+e.token)
			r.Header.Set("User-Agent", "watchbill/"+buildVersion())
			return nil
		}},
	}}
}

func (c *client) close() { c.exchange.http.CloseIdleConnections() }

// exchange sends the requests of the generated client.
type exchange struct {
	http               http.Client
	server             string // without a trailing slash
	token, tokenSource string
	tokenKind          string // such as "admin token"
	timeout            time.Duration
	maxBody            int64 // bytes of a response; 0 for maxAnswer
}

// Do returns error responses as errors. Reading more than maxAnswer bytes of a body fails.
func (e *exchange) Do(req *http.Request) (*http.Response, error) {
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, e.failed(req.Context(), err)
	}
	resp.Body = &body{ReadCloser: resp.Body, left: cmp.Or(e.maxBody, maxResponse), failed: func(err error) error { return e.failed(req.Context(), err) }}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, e.refused(resp)
}

func (e *exchange) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return &unreachable{server: e.server, timeout: e.timeout, err: err}
}

// body is a response body that limits the size and explains read errors.
type body struct {
	io.ReadCloser
	left   int64
	failed func(error) error
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the response is over %d bytes", maxResponse)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.failed(err)
	}
	return n, err
}

// reply is a response that was read.
type reply struct {
	content []byte
	at      time.Time // by the server's clock; ages are relative to it
}

// read reads a response to its end. It accepts the results of the generated client's methods.
func read(resp *http.Response, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		at = time.Now()
	}
	return reply{content, at}, nil
}

// decoded decodes the JSON of a response: decoded[openapi.Agent](read(c.GetAgent(ctx, id))).
func decoded[T any](r reply, err error) (T, error) {
	var value T
	if err != nil {
		return value, err
	}
	if err := json.Unmarshal(r.content, &value); err != nil {
		return value, fmt.Errorf("the response is not a Watchbill server's; check --server: %w", err)
	}
	return value, nil
}

// pages collects up to limit entries of a list page by page. more reports whether there are further entries.
func pages[T any](limit, pageSize int, page func(size int32, cursor *string) (entries []T, next string, err error)) (all []T, more bool, err error) {
	all = []T{}
	var cursor *string
	for {
		entries, next, err := page(int32(min(limit-len(all), pageSize)), cursor)
		if err != nil {
			return nil, false, err
		}
		all = append(all, entries...)
		switch {
		case len(all) > limit, next != "" && len(all) == limit:
			return all[:limit], true, nil
		case next == "":
			return all, false, nil
		case cursor != nil && *cursor == next:
			return nil, false, errors.New("the server's list does not end")
		}
		cursor = &next
	}
}
