package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxReplyExcerpt = 4 << 10 // bytes read of an error response
	maxRedirects    = 3
)

// webhook is a URL that reports are posted to.
type webhook struct {
	reportjob.Webhook
	options Options
}

func (h webhook) put(ctx context.Context, c content) (note string, err error) {
	to, err := h.url()
	if err != nil {
		return "", err
	}
	request, err := h.request(ctx, c, to)
	if err != nil {
		return "", final("%w", withoutURL(err))
	}
	ctx, seen := h.options.watched(ctx, to.Scheme)
	client := http.Client{Transport: h.options.through, CheckRedirect: near}
	response, err := client.Do(request.WithContext(ctx))
	if refused := (errNotAllowed{}); errors.As(err, &refused) {
		return "", final("%w", refused.error)
	}
	if err != nil {
		return "", fmt.Errorf("cannot reach %s: %s", origin(to), hidden(seen.failed(err).Error(), secrets(to)...))
	}
	defer response.Body.Close()
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return "", nil
	}
	return "", h.refused(response, to, seen.silent())
}

// url reads the URL. It is read for each attempt, since it may change.
func (h webhook) url() (*url.URL, error) {
	name, key, _ := strings.Cut(h.Secret, "/")
	content, err := readSecret(h.URLFile, name, key)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(content)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" {
		return nil, final("the key %s of the Secret %s is not a URL of http or https", key, name)
	}
	return u, nil
}

func (h webhook) request(ctx context.Context, c content, to *url.URL) (*http.Request, error) {
	body, contentType := c.body, c.format.ContentType()
	if h.Style == reportjob.Slack {
		body, contentType = slackMessage(c.Report), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", h.options.UserAgent)
	if h.Style == reportjob.Generic {
		name := c.Spec.Namespace + "/" + c.Spec.Name
		w := c.Document.Window
		r.Header.Set("X-Watchbill-Report", name)
		r.Header.Set("X-Watchbill-Verdict", reportjob.OneLine(string(c.Document.Verdict)))
		r.Header.Set("Idempotency-Key", fmt.Sprintf("%s/%s/%s", name, w.From.UTC().Format(time.RFC3339), w.To.UTC().Format(time.RFC3339)))
	}
	return r, nil
}

// near follows only redirects that keep the method and body and stay at the same origin.
func near(r *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > maxRedirects || r.Method != first.Method || r.URL.Host != first.URL.Host || r.URL.Scheme != first.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// refused returns the error of a response, final if a retry would not help.
func (h webhook) refused(response *http.Response, to *url.URL, silent bool) error {
	status := response.StatusCode
	if status >= 300 && status < 400 {
		elsewhere := "elsewhere"
		if location, err := response.Location(); err == nil && location.Host != to.Host && !silent {
			elsewhere = "to " + origin(location)
		}
		return final("%s responds with a redirect (%d) %s, which is not followed", origin(to), status, elsewhere)
	}
	quote := ""
	if !silent {
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxReplyExcerpt)) // as much as can be read
		quote = quoteOf(string(body), secrets(to)...)
	}
	err := fmt.Errorf("%s responds with %d%s", origin(to), status, quote)
	return &sendError{
		err:   err,
		final: status >= 400 && status < 500 && !temporary(status),
		wait:  retryAfter(response.Header.Get("Retry-After"), h.options.Now()),
	}
}

// retryAfter parses the header in either of its forms. It returns 0 if it is invalid.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// origin returns the part of a URL that may be shown.
func origin(u *url.URL) string { return text.FitRunes(reportjob.OneLine(u.Scheme+"://"+u.Host), 100) }

// secrets returns the parts of a webhook's URL that may be secret and that a response may repeat.
func secrets(u *url.URL) []string {
	all := []string{u.String(), u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	if u.User != nil {
		word, _ := u.User.Password()
		all = append(all, word, u.User.Username())
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		all = append(all, part)
	}
	for _, values := range u.Query() {
		all = append(all, values...)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Compare(len(b), len(a)) }) // longest first, so that no rest of one remains
	return all
}
