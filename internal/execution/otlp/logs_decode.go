package otlp

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json"
	collectorlogspb "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	logspb "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/proto"
)

var errNotLogs = refuse(http.StatusBadRequest, "the body is not an ExportLogsServiceRequest in protobuf")

// decodeLogs decompresses the body and decodes the message in it.
func (b *body) decodeLogs(limits limits) (*collectorlogspb.ExportLogsServiceRequest, error) {
	err := b.decompress(limits.decompressed)
	if err != nil {
		return nil, err
	}
	request := &collectorlogspb.ExportLogsServiceRequest{}
	switch {
	case len(b.content) == 0:
	case b.encoding == protobuf:
		err = decodeLogsProtobuf(b.content, request)
	default:
		request, err = decodeLogsJSON(b.content)
	}
	if err != nil {
		return nil, err
	}
	return request, checkRecords(request, limits.spans)
}

func checkRecords(request *collectorlogspb.ExportLogsServiceRequest, limit int) error {
	records := 0
	for _, ofResource := range request.GetResourceLogs() {
		for _, ofScope := range ofResource.GetScopeLogs() {
			records += len(ofScope.GetLogRecords())
		}
	}
	if records > limit {
		return refuse(http.StatusRequestEntityTooLarge, "the body holds more than %d log records: export fewer at once", limit)
	}
	return nil
}

func decodeLogsProtobuf(content []byte, request *collectorlogspb.ExportLogsServiceRequest) error {
	seen := survey{}
	if err := seen.walk(content, logsShape(), 0); err != nil {
		if errors.Is(err, errNotProtobuf) {
			return errNotLogs
		}
		return err
	}
	if seen.brokenText {
		content = repair(nil, content, logsShape())
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxNesting + 1}).Unmarshal(content, request); err != nil {
		return errNotLogs
	}
	return nil
}

// The fields that are read of a JSON export of logs.
type (
	logsJSON struct {
		ResourceLogs []struct {
			ScopeLogs []struct {
				LogRecords []recordJSON `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	recordJSON struct {
		Time       nanos          `json:"timeUnixNano"`
		Observed   nanos          `json:"observedTimeUnixNano"`
		EventName  string         `json:"eventName"`
		Body       anyValueJSON   `json:"body"`
		Attributes []keyValueJSON `json:"attributes"`
		TraceID    hexID          `json:"traceId"`
		SpanID     hexID          `json:"spanId"`
	}
)

func decodeLogsJSON(content []byte) (*collectorlogspb.ExportLogsServiceRequest, error) {
	if err := surveyJSON(content, maxMessages); err != nil {
		return nil, err
	}
	var sent logsJSON
	err := json.Unmarshal(content, &sent, lenient)
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &semantic):
		return nil, refuse(http.StatusBadRequest, "%s %s", place(semantic.JSONPointer), detailOf(semantic))
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body cannot be read")
	}
	request := &collectorlogspb.ExportLogsServiceRequest{}
	for _, resource := range sent.ResourceLogs {
		ofResource := &logspb.ResourceLogs{}
		for _, scope := range resource.ScopeLogs {
			ofScope := &logspb.ScopeLogs{}
			for i := range scope.LogRecords {
				ofScope.LogRecords = append(ofScope.LogRecords, scope.LogRecords[i].proto())
			}
			ofResource.ScopeLogs = append(ofResource.ScopeLogs, ofScope)
		}
		request.ResourceLogs = append(request.ResourceLogs, ofResource)
	}
	return request, nil
}

func (r *recordJSON) proto() *logspb.LogRecord {
	return &logspb.LogRecord{
		TimeUnixNano: uint64(r.Time), ObservedTimeUnixNano: uint64(r.Observed), EventName: r.EventName,
		Body: r.Body.proto(), Attributes: pairs(r.Attributes), TraceId: r.TraceID, SpanId: r.SpanID,
	}
}
