package otlp

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	collectorlogspb "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

// Contents stores the content of executions that log records carry.
type Contents interface {
	// Keep stores contents until their executions arrive. It returns how many can never be stored.
	Keep(ctx context.Context, contents []execution.Content) (refused int, err error)
}

// Logs handles export requests of logs. It is safe for concurrent use.
type Logs struct {
	contents Contents
	log      *zap.Logger
	limits   limits
	decoded  chan struct{}
}

// NewLogs returns a Logs. It does not use the Ledger of the options.
func NewLogs(contents Contents, opts Options) *Logs {
	t := New(opts)
	return &Logs{contents: contents, log: t.log, limits: t.limits, decoded: t.decoded}
}

// Export handles one export request and always returns a response.
func (l *Logs) Export(ctx context.Context, header http.Header, body io.Reader) (status int, mediaType string, answer []byte) {
	encoding := encodingOf(header)
	found, err := l.export(ctx, header, body)
	var refused *refusal
	var known *fault.Error
	switch {
	case err == nil:
		return http.StatusOK, encoding.mediaType(), encoding.logsResponse(found)
	case errors.As(err, &refused):
	case errors.As(err, &known) && known.Kind == fault.Limited:
		refused = refuse(http.StatusTooManyRequests, "%s", known.Detail)
	case errors.Is(err, fault.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		refused = refuse(http.StatusServiceUnavailable, "the log records could not be stored now: %s", skipReason(err))
	default:
		l.log.Error("an export of logs failed", zap.Error(err))
		refused = refuse(http.StatusInternalServerError, "the log records could not be stored")
	}
	return refused.status, encoding.mediaType(), encoding.refusal(refused)
}

// Refuse returns the response to a request that was rejected elsewhere, in the encoding of that request.
func (l *Logs) Refuse(header http.Header, status int, message string) (mediaType string, answer []byte) {
	encoding := encodingOf(header)
	return encoding.mediaType(), encoding.refusal(&refusal{status: status, message: message})
}

// recordsRead is the outcome of an export's records.
type recordsRead struct {
	contents []execution.Content
	others   int // not events with content
	spanless int // events with content but without a span
	refused  int // cannot be stored
}

func (l *Logs) export(ctx context.Context, header http.Header, body io.Reader) (recordsRead, error) {
	found, err := l.read(ctx, header, body)
	if err != nil || len(found.contents) == 0 {
		return found, err
	}
	found.refused, err = l.contents.Keep(ctx, found.contents)
	return found, err
}

func (l *Logs) read(ctx context.Context, header http.Header, body io.Reader) (recordsRead, error) {
	sent, err := readBody(ctx, header, body, l.limits)
	if err != nil {
		return recordsRead{}, err
	}
	defer sent.release()
	select {
	case l.decoded <- struct{}{}:
		defer func() { <-l.decoded }()
	case <-ctx.Done():
		return recordsRead{}, ctx.Err()
	}
	request, err := sent.decodeLogs(l.limits)
	if err != nil {
		return recordsRead{}, err
	}
	return readRecords(request), nil
}

func readRecords(request *collectorlogspb.ExportLogsServiceRequest) recordsRead {
	var found recordsRead
	for _, ofResource := range request.GetResourceLogs() {
		for _, ofScope := range ofResource.GetScopeLogs() {
			for _, record := range ofScope.GetLogRecords() {
				content, isContent := contentOfRecord(record)
				switch {
				case !isContent:
					found.others++
				case len(record.GetTraceId()) != traceIDSize || len(record.GetSpanId()) != spanIDSize || allZero(record.GetTraceId()) || allZero(record.GetSpanId()):
					found.spanless++
				default:
					found.contents = append(found.contents, content)
				}
			}
		}
	}
	return found
}

// contentOfRecord returns the content that a record carries, if it is one of the events with content. They are
// identified by event_name, or by an attribute in exports of older SDKs.
func contentOfRecord(record *logspb.LogRecord) (execution.Content, bool) {
	attributes := collect(record.GetAttributes())
	name := cmp.Or(record.GetEventName(), attributes.text("event.name"))
	content := execution.Content{
		TraceID: hex.EncodeToString(record.GetTraceId()), SpanID: hex.EncodeToString(record.GetSpanId()),
		At: timeOf(cmp.Or(record.GetTimeUnixNano(), record.GetObservedTimeUnixNano())),
	}
	if !strings.HasPrefix(name, "gen_ai.") {
		return content, false
	}
	body := record.GetBody()
	if members := body.GetKvlistValue(); members != nil {
		attributes.collect(slices.Concat(record.GetAttributes(), members.GetValues()))
	} else if body.GetValue() != nil {
		attributes.collect(append(slices.Clip(record.GetAttributes()), &commonpb.KeyValue{Key: "content", Value: body}))
	}
	switch name {
	case "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message":
		content.Message, content.Input = true, message(name, &attributes)
	case "gen_ai.choice":
		content.Message, content.Output = true, message(name, &attributes)
	default: // all of it, as in the event gen_ai.client.inference.operation.details
		s := &span{sent: &tracepb.Span{}, attributes: attributes, around: &around{}}
		content.Input, content.Output = contentOf(s, execution.Inference)
	}
	return content, content.Input != nil || content.Output != nil
}

// message describes the records that were not accepted, or is empty.
func (r recordsRead) message() string {
	var attributes []string
	for _, one := range []struct {
		n   int
		why string
	}{
		{r.others, "are not generative AI events with content, the only kind that is stored"},
		{r.spanless, "name no trace and span"},
		{r.refused, "have content that is too large"},
	} {
		if one.n > 0 {
			attributes = append(attributes, fmt.Sprintf("%d log records %s", one.n, one.why))
		}
	}
	return strings.Join(attributes, "; ")
}

// logsResponse returns an ExportLogsServiceResponse. Records that are not events are dropped without counting as
// rejected, since exporters would log warnings about them.
func (e encoding) logsResponse(r recordsRead) []byte {
	text, rejected := r.message(), int64(r.spanless+r.refused)
	if e == protobuf {
		response := &collectorlogspb.ExportLogsServiceResponse{}
		if text != "" {
			response.PartialSuccess = &collectorlogspb.ExportLogsPartialSuccess{RejectedLogRecords: rejected, ErrorMessage: text}
		}
		return marshal(response)
	}
	type partialSuccess struct {
		RejectedLogRecords int64  `json:"rejectedLogRecords,string"`
		ErrorMessage       string `json:"errorMessage"`
	}
	var response struct {
		PartialSuccess *partialSuccess `json:"partialSuccess,omitempty"`
	}
	if text != "" {
		response.PartialSuccess = &partialSuccess{rejected, text}
	}
	answer, _ := json.Marshal(response) // cannot fail on numbers and strings
	return answer
}
