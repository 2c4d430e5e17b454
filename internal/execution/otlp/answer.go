package otlp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	codepb "google.golang.org/genproto/googleapis/rpc/code"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxNamed is the maximum number of faults in a response. An exporter usually makes the same mistake in every span.
const maxNamed = 5

// refusal is why a whole request is rejected.
type refusal struct {
	status  int    // HTTP status
	message string // for the operator of the exporter
}

func (r *refusal) Error() string { return r.message }

func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, message: fmt.Sprintf(format, args...)}
}

// rejection is why one span is rejected.
type rejection struct{ span, field, why string }

func (f rejection) String() string { return "span " + f.span + ": " + f.field + " " + f.why }

// faultOf converts the ledger's fault to the terms of the span that the execution was made from.
func faultOf(e *execution.Execution, found *execution.Fault) rejection {
	switch found.Field {
	case "created_at":
		return rejection{e.SpanID, "start_time_unix_nano", found.Detail}
	case "execution_time_ms":
		const days = execution.MaxDuration / (24 * time.Hour)
		return rejection{e.SpanID, "end_time_unix_nano", fmt.Sprintf("is more than %d days after the start", days)}
	default:
		return rejection{e.SpanID, found.Field, found.Detail}
	}
}

// verdict is the outcome of an export. Spans without a fault were accepted.
type verdict struct {
	faults []rejection
	unread []unread // of spans that were accepted but became no executions
}

// partial reports whether the response needs a partial_success.
func (v verdict) partial() bool { return len(v.faults) > 0 || len(v.unread) > 0 }

func (v verdict) message() string {
	messages := make([]string, 0, maxNamed+2)
	for _, f := range v.faults[:min(len(v.faults), maxNamed)] {
		messages = append(messages, f.String())
	}
	if more := len(v.faults) - len(messages); more > 0 {
		messages = append(messages, fmt.Sprintf("and %d more", more))
	}
	if len(v.unread) > 0 {
		messages = append(messages, warning(v.unread))
	}
	return strings.Join(messages, "; ")
}

// response returns an ExportTraceServiceResponse. The protocol requires partial_success to be unset if all spans were
// accepted without a warning; a warning has zero rejected spans.
func (e encoding) response(v verdict) []byte {
	if e == protobuf {
		response := &collectorpb.ExportTraceServiceResponse{}
		if v.partial() {
			response.PartialSuccess = &collectorpb.ExportTracePartialSuccess{
				RejectedSpans: int64(len(v.faults)), ErrorMessage: v.message(),
			}
		}
		return marshal(response)
	}
	type partialSuccess struct {
		RejectedSpans int64  `json:"rejectedSpans,string"` // as ProtoJSON writes an int64
		ErrorMessage  string `json:"errorMessage"`
	}
	var response struct {
		PartialSuccess *partialSuccess `json:"partialSuccess,omitempty"`
	}
	if v.partial() {
		response.PartialSuccess = &partialSuccess{RejectedSpans: int64(len(v.faults)), ErrorMessage: v.message()}
	}
	answer, _ := json.Marshal(response) // cannot fail on numbers and strings
	return answer
}

// refusal returns a google.rpc.Status.
func (e encoding) refusal(r *refusal) []byte {
	code := codeOf(r.status)
	if e == protobuf {
		return marshal(&statuspb.Status{Code: int32(code), Message: clean(r.message)})
	}
	answer, _ := json.Marshal(struct {
		Code    codepb.Code `json:"code"`
		Message string      `json:"message"`
	}{code, r.message})
	return answer
}

// marshal encodes a message whose strings are valid UTF-8, so it cannot fail.
func marshal(message proto.Message) []byte {
	answer, _ := proto.Marshal(message)
	return answer
}

// codeOf returns the google.rpc code for an HTTP status.
func codeOf(status int) codepb.Code {
	switch status {
	case http.StatusUnauthorized:
		return codepb.Code_UNAUTHENTICATED
	case http.StatusForbidden:
		return codepb.Code_PERMISSION_DENIED
	case http.StatusNotFound:
		return codepb.Code_NOT_FOUND
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return codepb.Code_UNIMPLEMENTED
	case http.StatusRequestTimeout:
		return codepb.Code_DEADLINE_EXCEEDED
	case http.StatusTooManyRequests:
		return codepb.Code_RESOURCE_EXHAUSTED
	case http.StatusServiceUnavailable:
		return codepb.Code_UNAVAILABLE
	}
	if status >= http.StatusInternalServerError {
		return codepb.Code_INTERNAL
	}
	return codepb.Code_INVALID_ARGUMENT
}
