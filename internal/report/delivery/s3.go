package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxListed   = 10_000  // objects of the report
	maxResponse = 4 << 20 // bytes of a response
)

// bucket is a bucket of an S3-compatible store.
type bucket struct {
	reportjob.S3
	options Options
}

// keys are the credentials.
type keys struct{ id, secret, session string }

func (b bucket) put(ctx context.Context, c content) (note string, err error) {
	if err := b.options.through.allowed.Bucket(b.Bucket, b.Prefix); err != nil {
		return "", final("%w", err)
	}
	k, err := b.keys()
	if err != nil {
		return "", err
	}
	scheme, _, _ := strings.Cut(b.Endpoint, "://")
	if k.session != "" && scheme != "https" {
		return "", final("the Secret %s has a sessionToken, which is sent over https alone; the endpoint %s is not", b.Secret, b.Endpoint)
	}
	ctx, seen := b.options.watched(ctx, scheme)
	store, err := b.client(k)
	if err != nil {
		return "", final("%w", err)
	}
	options := minio.PutObjectOptions{ContentType: c.format.ContentType()}
	_, err = store.PutObject(ctx, b.Bucket, path.Join(b.Prefix, c.file()), bytes.NewReader(c.body), int64(len(c.body)), options)
	if err != nil {
		return "", b.failed(err, k, seen)
	}
	if err := b.prune(ctx, store, c); err != nil {
		return fmt.Sprintf("old reports could not be deleted: %v", b.failed(err, k, seen)), nil
	}
	return "", nil
}

// keys reads the credentials. They are read for each attempt, since they may change.
func (b bucket) keys() (k keys, err error) {
	if k.id, err = readSecret(path.Join(b.Credentials, "accessKeyID"), b.Secret, "accessKeyID"); err != nil {
		return keys{}, err
	}
	if k.secret, err = readSecret(path.Join(b.Credentials, "secretAccessKey"), b.Secret, "secretAccessKey"); err != nil {
		return keys{}, err
	}
	k.session, _ = readSecret(path.Join(b.Credentials, "sessionToken"), b.Secret, "sessionToken") // optional
	return k, nil
}

// client returns a client without retries, which Deliver does, and without redirects.
func (b bucket) client(k keys) (*minio.Client, error) {
	scheme, host, _ := strings.Cut(b.Endpoint, "://")
	store, err := minio.New(host, &minio.Options{
		Creds:      credentials.NewStaticV4(k.id, k.secret, k.session),
		Secure:     scheme == "https",
		Region:     b.Region,
		Transport:  bounded{b.options.through},
		MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("the endpoint %s cannot be used: %w", b.Endpoint, err)
	}
	name, version, _ := strings.Cut(b.options.UserAgent, "/")
	store.SetAppInfo(name, version)
	return store, nil
}

// prune deletes the report's objects beyond the newest.
func (b bucket) prune(ctx context.Context, store *minio.Client, c content) error {
	ctx, cancel := context.WithCancel(ctx) // it ends the listing
	defer cancel()
	prefix := path.Join(b.Prefix, c.Spec.Name+"-")
	folder := strings.TrimSuffix(prefix, c.Spec.Name+"-")
	var own []string
	for object := range store.ListObjectsIter(ctx, b.Bucket, minio.ListObjectsOptions{Prefix: prefix}) {
		if object.Err != nil {
			return object.Err
		}
		name, found := strings.CutPrefix(object.Key, folder)
		if found && reportjob.Owns(name, c.Spec.Name, c.format) {
			own = append(own, name)
		}
		if len(own) > maxListed {
			return fmt.Errorf("there are more than %d", maxListed)
		}
	}
	for _, name := range reportjob.Outdated(own, c.Spec.Name, c.format, c.Spec.Keep, c.file()) {
		if err := store.RemoveObject(ctx, b.Bucket, folder+name, minio.RemoveObjectOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// failed returns the error of a request, final if a retry would not help.
func (b bucket) failed(err error, k keys, seen *connections) error {
	if refused := (errNotAllowed{}); errors.As(err, &refused) {
		return final("%w", refused.error)
	}
	var response minio.ErrorResponse
	if !errors.As(err, &response) {
		return fmt.Errorf("cannot reach %s: %s", b.Endpoint, hidden(seen.failed(err).Error(), k.id, k.secret, k.session))
	}
	quote := quoteOf(response.Message, k.id, k.secret, k.session)
	code := reportjob.OneLine(hidden(text.FitRunes(response.Code, 60), k.id, k.secret, k.session))
	if seen.silent() {
		quote = ""
		if !slices.Contains(knownCodes, response.Code) { // other codes could contain anything
			code = fmt.Sprintf("status %d", response.StatusCode)
		}
	}
	switch {
	case response.Code == minio.NoSuchBucket:
		return final("the bucket %s does not exist at %s", b.Bucket, b.Endpoint)
	case response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusUnauthorized:
		return final("the store refuses the credentials of the Secret %s (%s%s)", b.Secret, code, quote)
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return final("%s responds with a redirect (%d), which is not followed; check the endpoint and the region", b.Endpoint, response.StatusCode)
	case response.StatusCode >= 400 && response.StatusCode < 500 && !temporary(response.StatusCode):
		return final("the store refuses the report (%s%s)", code, quote)
	}
	return fmt.Errorf("the store failed (%d %s%s)", response.StatusCode, code, quote)
}

// knownCodes are S3's error codes, which reveal nothing about the store.
var knownCodes = []string{
	minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed", "AllAccessDisabled",
	"AuthorizationHeaderMalformed", "EntityTooLarge", "InvalidRequest", "InvalidArgument", "InvalidBucketName", "MethodNotAllowed",
	"InternalError", "ServiceUnavailable", "SlowDown", "NotImplemented", "QuotaExceeded",
}

// temporary reports whether a retry may help after this status of 400 to 499.
func temporary(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly || status == http.StatusTooManyRequests
}

// bounded is a transport that limits the size of responses.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &boundedBody{resp.Body, maxResponse}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the response is over %d bytes", maxResponse)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
