package ingest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	codepb "google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// grpcMethods maps the methods of OTLP's services to the equivalent HTTP routes.
var grpcMethods = map[string]string{
	"/opentelemetry.proto.collector.trace.v1.TraceService/Export":     "/v1/traces",
	"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "/v1/metrics",
	"/opentelemetry.proto.collector.logs.v1.LogsService/Export":       "/v1/logs",
}

const (
	grpcType       = "application/grpc"
	exportType     = "application/x-protobuf" // the messages' media type in OTLP over HTTP
	maxGRPCTimeout = 8                        // digits of a grpc-timeout
	// grpcFrame is the size of a message's prefix: a byte for whether it is compressed, and its length in 4 bytes.
	grpcFrame = 5
)

// GRPC returns a handler for OTLP over gRPC. A unary gRPC call is an HTTP/2 POST whose body is one message after a
// short prefix, and whose status is in the trailers. So a call is served as the same export over HTTP by next: its
// tokens, limits, metrics and logs are those of the route.
func (a *API) GRPC(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serveGRPC(next, w, r) })
}

func (a *API) serveGRPC(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !isGRPC(strings.TrimSpace(mediaType)) || r.ProtoMajor != 2 {
		http.Error(w, "this port speaks OTLP over gRPC; OTLP over HTTP and the API are on another port", http.StatusUnsupportedMediaType)
		return
	}
	call := &grpcCall{ResponseWriter: w, answered: http.Header{}, status: http.StatusOK}
	pattern, known := grpcMethods[r.URL.Path]
	if !known || r.Method != http.MethodPost {
		pattern = "/grpc" // not a route
	}
	ctx, cancel, err := withGRPCTimeout(r.Context(), r.Header.Get("Grpc-Timeout"))
	defer cancel()
	if err != nil {
		call.finish(&statuspb.Status{Code: int32(codepb.Code_INVALID_ARGUMENT), Message: err.Error()})
		return
	}
	export := call.request(r.WithContext(ctx), pattern)
	if !serveCall(next, call, export) {
		if r.Context().Err() != nil {
			panic(http.ErrAbortHandler) // the client is gone
		}
		call.finish(&statuspb.Status{Code: int32(codepb.Code_DEADLINE_EXCEEDED), Message: "the call's deadline has passed"})
		return
	}
	call.finish(call.outcome(a.Traces, export.Header, known))
}

// serveCall serves the export of a call. It reports whether there is a response: there is none if the handler aborted
// because its context ended.
func serveCall(next http.Handler, call *grpcCall, export *http.Request) (answered bool) {
	defer func() {
		cause := recover()
		if err, ok := cause.(error); cause != nil && (!ok || !errors.Is(err, http.ErrAbortHandler)) {
			panic(cause)
		}
	}()
	next.ServeHTTP(call, export)
	return true
}

// isGRPC reports whether a content type is that of gRPC with protobuf messages.
func isGRPC(mediaType string) bool { return mediaType == grpcType || mediaType == grpcType+"+proto" }

var errGRPCTimeout = errors.New("grpc-timeout is not up to eight digits and one of H, M, S, m, u and n")

// withGRPCTimeout returns a context with the deadline of a grpc-timeout header, which may be empty.
func withGRPCTimeout(ctx context.Context, timeout string) (context.Context, context.CancelFunc, error) {
	if timeout == "" {
		return ctx, func() {}, nil
	}
	units := map[byte]time.Duration{
		'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
	}
	last := len(timeout) - 1
	unit, known := units[timeout[last]]
	n, err := strconv.ParseUint(timeout[:last], 10, 63)
	if !known || err != nil || last > maxGRPCTimeout {
		return ctx, func() {}, errGRPCTimeout
	}
	const longest = time.Hour // routes' own deadlines are much shorter
	if n > uint64(longest/unit) {
		return ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*unit)
	return ctx, cancel, nil
}

// grpcCall is a gRPC call. It is the ResponseWriter of the export over HTTP, whose response it buffers.
type grpcCall struct {
	http.ResponseWriter
	answered http.Header // response header of the export
	status   int
	body     []byte
}

// request returns the equivalent export over HTTP. Its RequestURI remains that of the call, for the log.
func (c *grpcCall) request(r *http.Request, pattern string) *http.Request {
	export := r.Clone(r.Context())
	export.URL = &url.URL{Path: pattern}
	export.Method = http.MethodPost
	coding := r.Header.Get("Grpc-Encoding")
	for name := range export.Header {
		if strings.HasPrefix(name, "Grpc-") || strings.HasPrefix(name, "Content-") || name == "X-Admin-Token" {
			delete(export.Header, name)
		}
	}
	export.Header.Set("Content-Type", exportType)
	export.ContentLength = -1
	export.Body = &grpcMessage{ReadCloser: r.Body, coding: coding}
	return export
}

func (c *grpcCall) Header() http.Header { return c.answered }

func (c *grpcCall) WriteHeader(status int) {
	if status >= http.StatusOK {
		c.status = status
	}
}

func (c *grpcCall) Write(p []byte) (int, error) {
	c.body = append(c.body, p...)
	return len(p), nil
}

// Unwrap is for http.ResponseController.
func (c *grpcCall) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// outcome returns the call's status, or nil on success.
func (c *grpcCall) outcome(traces Exports, header http.Header, known bool) *statuspb.Status {
	if c.status == http.StatusOK {
		return nil
	}
	status := &statuspb.Status{}
	if c.answered.Get("Content-Type") != exportType || proto.Unmarshal(c.body, status) != nil || status.GetCode() == 0 {
		_, body := traces.Refuse(header, c.status, http.StatusText(c.status))
		if proto.Unmarshal(body, status) != nil || status.GetCode() == 0 {
			status = &statuspb.Status{Code: int32(codepb.Code_INTERNAL), Message: http.StatusText(c.status)}
		}
	}
	if !known {
		return &statuspb.Status{Code: int32(codepb.Code_UNIMPLEMENTED), Message: "unknown method; this port accepts OTLP traces and logs"}
	}
	if c.status == http.StatusUnsupportedMediaType { // unsupported compression; gRPC prescribes this code
		status.Code = int32(codepb.Code_UNIMPLEMENTED)
	}
	if seconds, err := strconv.Atoi(c.answered.Get("Retry-After")); err == nil {
		retry, err := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(seconds) * time.Second)})
		if err == nil { // always the case
			status.Details = append(status.Details, retry)
		}
	}
	return status
}

// finish sends the response of the call. On success it is the message, with the status in the trailers. Otherwise the
// status is in the headers, which end the stream: net/http sends a response without body with a content length of zero,
// for which proxies do not forward trailers.
func (c *grpcCall) finish(status *statuspb.Status) {
	header := c.ResponseWriter.Header()
	for _, name := range []string{"X-Request-Id", "Connection"} { // Connection: close ends an HTTP/2 connection, too
		if values := c.answered[name]; len(values) > 0 {
			header[name] = values
		}
	}
	header.Set("Content-Type", grpcType)
	header.Set("Grpc-Accept-Encoding", "gzip, zstd")
	if status == nil {
		header.Set("Trailer", "Grpc-Status")
		c.ResponseWriter.WriteHeader(http.StatusOK)
		frame := make([]byte, grpcFrame, grpcFrame+len(c.body))
		binary.BigEndian.PutUint32(frame[1:], uint32(len(c.body)))
		_, _ = c.ResponseWriter.Write(append(frame, c.body...)) // the client may be gone
		header.Set("Grpc-Status", "0")
		return
	}
	header.Set("Grpc-Status", strconv.Itoa(int(status.GetCode())))
	header.Set("Grpc-Message", escapeGRPC(status.GetMessage()))
	if details, err := proto.Marshal(status); err == nil && len(status.GetDetails()) > 0 {
		header.Set("Grpc-Status-Details-Bin", base64.RawStdEncoding.EncodeToString(details))
	}
	c.ResponseWriter.WriteHeader(http.StatusOK)
}

// escapeGRPC encodes a message for a gRPC header: it writes % and bytes that are not printable ASCII as %XX.
func escapeGRPC(message string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(message) {
		if c := message[i]; c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&0xf])
		}
	}
	return b.String()
}

// grpcMessage is the body of a call: one message after its prefix. begin must be called before the message is read.
type grpcMessage struct {
	io.ReadCloser
	coding string // value of grpc-encoding
	left   int64  // unread bytes of the message, or of its prefix
	begun  bool   // the prefix was read
	ended  bool
}

// begin reads the message's prefix from from, and sets Content-Encoding in header if the message is compressed. Its
// error is a problem to respond with.
func (m *grpcMessage) begin(from io.Reader, header http.Header) error {
	var prefix [grpcFrame]byte
	m.left = grpcFrame
	if _, err := io.ReadFull(from, prefix[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return errNoMessage
		}
		return input.BrokenBody(err)
	}
	switch compressed := prefix[0]; {
	case compressed > 1:
		return problem.BadRequest("bad_message", "", "the call's body is not a message of gRPC")
	case compressed == 1 && (m.coding == "" || m.coding == "identity"):
		return problem.BadRequest("bad_message", "", "the message is compressed, and grpc-encoding does not say how")
	case compressed == 1:
		header.Set("Content-Encoding", m.coding)
	}
	m.begun = true
	m.left = int64(binary.BigEndian.Uint32(prefix[1:]))
	return nil
}

// Read reads the message. At its end it checks that no other message follows.
func (m *grpcMessage) Read(p []byte) (int, error) {
	if m.ended {
		return 0, io.EOF
	}
	if m.left == 0 {
		var more [1]byte
		n, err := io.ReadFull(m.ReadCloser, more[:])
		switch {
		case n > 0:
			return 0, errMoreMessages
		case errors.Is(err, io.EOF):
			m.ended = true
		}
		return 0, err
	}
	n, err := m.ReadCloser.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	if errors.Is(err, io.EOF) {
		if m.begun && m.left > 0 {
			return n, io.ErrUnexpectedEOF
		}
		m.ended = m.begun
	}
	return n, err
}

var errNoMessage = problem.BadRequest("bad_message", "", "the call has no message")

var errMoreMessages = problem.BadRequest("bad_message", "", "the call has more than one message")
