package otlp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"

	"github.com/watchbill/watchbill/internal/text"
)

// limits are the maximum sizes of an export.
type limits struct {
	body         int64 // bytes of a compressed body
	decompressed int64 // bytes of a decompressed body
	spans        int
}

// encoding is the encoding of a message.
type encoding int

const (
	unknown encoding = iota // responses are in JSON, which people can read
	protobuf
	jsonText
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

func (e encoding) mediaType() string {
	if e == protobuf {
		return protobufType
	}
	return jsonType
}

// encodingOf returns the encoding of the request by its content type. Parameters are ignored: exporters add charsets,
// and both encodings are UTF-8 anyway.
func encodingOf(header http.Header) encoding {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter):
		return unknown
	case mediaType == protobufType:
		return protobuf
	case mediaType == jsonType:
		return jsonText
	}
	return unknown
}

// body is a request body as received.
type body struct {
	encoding encoding
	coding   string // "", gzip or zstd
	content  []byte
	memory   *bytes.Buffer
}

func (b *body) release() { keepBuffer(b.memory) }

// buffers are unused buffers for bodies.
var buffers = sync.Pool{New: func() any { return &bytes.Buffer{} }}

// maxKeptBody is the maximum size of a buffer that is kept for reuse.
const maxKeptBody = 256 << 10 // bytes

func keepBuffer(memory *bytes.Buffer) {
	if memory != nil && memory.Cap() <= maxKeptBody {
		memory.Reset()
		buffers.Put(memory)
	}
}

// readBody reads a whole request body, up to the limit. The caller must call release on it.
func readBody(ctx context.Context, header http.Header, from io.Reader, limits limits) (body, error) {
	sent := body{encoding: encodingOf(header)}
	if sent.encoding == unknown {
		return body{}, refuse(http.StatusUnsupportedMediaType, "the content type %s is not supported: send %s or %s",
			text.Quote(header.Get("Content-Type"), 80), protobufType, jsonType)
	}
	limit := limits.decompressed
	switch coding := strings.ToLower(strings.Join(header.Values("Content-Encoding"), ", ")); coding {
	case "", "identity":
	case gzipCoding, zstdCoding:
		sent.coding, limit = coding, limits.body
	default:
		return body{}, refuse(http.StatusUnsupportedMediaType, "the content encoding %s is not supported: send one of gzip, zstd and identity", text.Quote(coding, 80))
	}
	memory := buffers.Get().(*bytes.Buffer)
	err := readAll(memory, from, header, limit)
	if err != nil {
		keepBuffer(memory)
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // the connection's deadline; net/http then cancels the context too
		return body{}, refuse(http.StatusRequestTimeout, "the body did not arrive in time")
	case ctx.Err() != nil:
		return body{}, ctx.Err()
	case errors.Is(err, errTooMuch):
		return body{}, refuse(http.StatusRequestEntityTooLarge, "the body is of more than %d bytes: export fewer spans at once", limit)
	case errors.As(err, &tooLarge):
		return body{}, refuse(http.StatusRequestEntityTooLarge, "the body is of more than %d bytes: export fewer spans at once", tooLarge.Limit)
	case err != nil:
		return body{}, refuse(http.StatusBadRequest, "the body ended early")
	}
	sent.content, sent.memory = memory.Bytes(), memory
	return sent, nil
}

var errTooMuch = errors.New("more than the limit")

// readAll reads to the end, or fails after most bytes.
func readAll(into *bytes.Buffer, from io.Reader, header http.Header, limit int64) error {
	const believed = 1 << 20 // bytes; a larger Content-Length is not trusted
	if length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil && length > 0 {
		into.Grow(int(min(length, limit, believed)) + bytes.MinRead)
	}
	n, err := into.ReadFrom(io.LimitReader(from, limit+1))
	if n > limit {
		return errTooMuch
	}
	return err
}

// decode decompresses the body and decodes the message in it. An empty body is the empty message in either encoding.
// The caller must call release when done with the message.
func (b *body) decode(limits limits) (request *collectorpb.ExportTraceServiceRequest, release func(), err error) {
	if err := b.decompress(limits.decompressed); err != nil {
		return nil, nil, err
	}
	switch {
	case len(b.content) == 0:
		return &collectorpb.ExportTraceServiceRequest{}, func() {}, nil
	case b.encoding == protobuf:
		return decodeProtobuf(b.content, limits.spans)
	}
	request, err = decodeJSON(b.content, limits.spans)
	return request, func() {}, err
}
