package otlp

import (
	"regexp"
	"slices"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// statusOf returns the status of a span and, if it failed, the error message.
func statusOf(s *span) (status execution.Status, message string) {
	errorType := s.attributes.text("error.type")
	if isAbsent(errorType) {
		errorType = ""
	}
	thrown := s.exception()
	if !s.failed(errorType, thrown) {
		return execution.Success, ""
	}
	exception := collect(thrown.GetAttributes())
	types := []string{errorType, exception.text("exception.type")}
	if clientLeft(first(append(types, s.sent.GetStatus().GetMessage())...)) {
		return execution.Success, ""
	}
	texts := []string{
		s.sent.GetStatus().GetMessage(),
		exception.text("exception.message"),
		s.attributes.text("error.message", "exception.message", "langfuse.observation.status_message", "error"),
	}
	message = first(texts...)

	status = execution.Failure
	if isTimeout(types...) || first(types...) == "" && isTimeout(message) || slices.ContainsFunc(texts, reportsTimeout) || causedByTimeout(exception.text("exception.stacktrace")) {
		status = execution.Timeout
	}
	if kind := first(types...); kind != "" && !strings.Contains(message, kind) {
		message = strings.TrimSuffix(kind+": "+message, ": ")
	}
	return status, clean(message) // the ledger truncates it after masking
}

// causedByTimeout reports whether the last cause in a Java stack trace is a timeout, which the errors that wrap it may
// not show. OkHttp cancels a call that timed out, so a last cause "Canceled" after a timeout is skipped.
func causedByTimeout(stack string) bool {
	const cause = "\nCaused by: "
	timedOut := false
	for at := strings.Index(stack, cause); at >= 0; at = strings.Index(stack, cause) {
		stack = stack[at+len(cause):]
		line, _, _ := strings.Cut(stack, "\n")
		_, message, _ := strings.Cut(line, ": ")
		if message = strings.TrimSpace(message); timedOut && strings.EqualFold(message, "Canceled") {
			continue
		}
		timedOut = reportsTimeout(line) || strings.EqualFold(message, "timeout")
	}
	return timedOut
}

// clientLeft reports whether an error only means that the reader of a stream closed it early, or that a run is waiting.
// Python raises GeneratorExit in the generator in that case; some wrappers of streams report an abandoned stream
// instead.
func clientLeft(texts string) bool {
	const closed = "GeneratorExit"
	kind, _, _ := strings.Cut(texts, ":")
	kind, _, _ = strings.Cut(kind, "(")
	return kind == closed || strings.HasSuffix(kind, "."+closed) || abandoned.MatchString(kind) || paused.MatchString(kind)
}

// paused matches what frameworks raise when a run waits for somebody, or returns control to the enclosing graph. These
// are signals, not errors.
var paused = regexp.MustCompile(`(?:^|\.)(?:GraphInterrupt|NodeInterrupt|GraphBubbleUp|ParentCommand|HumanFeedbackPending)$|^pydantic_ai\.exceptions\.(?:CallDeferred|ApprovalRequired)$`)

var abandoned = regexp.MustCompile(`(?i)^(?:[\w.]*abandoned ?stream(?:Error|Exception)?|stream (?:was |has been )?abandoned)$`)

// failed reports whether a span ended in an error. Instrumentations set its status, or leave that unset or OK and
// report the error in other ways.
func (s *span) failed(errorType string, thrown *tracepb.Span_Event) bool {
	code := s.sent.GetStatus().GetCode()
	switch {
	case code == tracepb.Status_STATUS_CODE_ERROR, errorType != "":
		return true
	case code == tracepb.Status_STATUS_CODE_OK && thrown != nil && cancelled(thrown):
		return false // cancelled by the consumer
	case thrown != nil && (s.endedBy(thrown) || code == tracepb.Status_STATUS_CODE_UNSET && take(s, outputs) == nil):
		return true
	case s.finishedInError():
		return true
	case code == tracepb.Status_STATUS_CODE_OK:
		return false
	}
	return strings.EqualFold(s.attributes.text("langfuse.observation.level"), "ERROR") ||
		s.attributes.text("genkit:state") == "error" || s.attributes.value("error").GetBoolValue()
}

// cancelled reports whether an exception only means that a task was cancelled.
func cancelled(thrown *tracepb.Span_Event) bool {
	exception := collect(thrown.GetAttributes())
	kind := exception.text("exception.type")
	kind = kind[strings.LastIndexByte(kind, '.')+1:]
	return kind == "CancelledError" || kind == "CancellationException" || kind == "AbortError"
}

// endedBy reports whether a span ended when it recorded an exception. Otherwise it handled the exception.
func (s *span) endedBy(thrown *tracepb.Span_Event) bool {
	const within = uint64(5 * time.Millisecond)
	at, end := thrown.GetTimeUnixNano(), s.sent.GetEndTimeUnixNano()
	return at >= end || end-at <= within
}

// finishedInError reports whether the only finish reason of a call or a run is an error. One that used tokens did not
// fail: some instrumentations use this reason for unknown ones.
func (s *span) finishedInError() bool {
	const reason = "error"
	if s.role != modelCall && s.role != agentRun {
		return false
	}
	value := s.attributes.value("gen_ai.response.finish_reasons")
	if reasons := value.GetArrayValue().GetValues(); reasons != nil {
		return !slices.ContainsFunc(reasons, func(one *commonpb.AnyValue) bool { return one.GetStringValue() != reason }) && !counted(&s.attributes)
	}
	switch text := value.GetStringValue(); text {
	case "":
		return (s.attributes.text("ai.response.finishReason", "llm.finish_reason") == reason ||
			messagesFinished(s.attributes.value("gen_ai.output.messages").GetStringValue(), reason)) && !counted(&s.attributes)
	default:
		return (text == reason || text == `["`+reason+`"]`) && !counted(&s.attributes)
	}
}

// messagesFinished reports whether all finish reasons of the messages in a JSON output are the given one. Quotes in the
// text of messages are escaped, so text is not mistaken for a member.
func messagesFinished(output, reason string) bool {
	found := false
	for {
		_, after, another := strings.Cut(output, `"finish_reason":`)
		if !another {
			return found
		}
		if found = strings.HasPrefix(strings.TrimLeft(after, " "), `"`+reason+`"`); !found {
			return false
		}
		output = after
	}
}

// exception returns the last exception that the span recorded, or nil.
func (s *span) exception() *tracepb.Span_Event {
	for _, event := range slices.Backward(s.sent.GetEvents()) {
		if event.GetName() == "exception" {
			return event
		}
	}
	return nil
}

// first returns the first text that carries information. The error.type _OTHER does not.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" && text != "_OTHER" {
			return text
		}
	}
	return ""
}

// timeoutPattern matches terms for a timeout: timeout, TimeoutError, ReadTimeout, ETIMEDOUT, DEADLINE_EXCEEDED,
// context.deadlineExceededError, "Request timed out." It does not match runtimeOutput.
var timeoutPattern = regexp.MustCompile(`(?i)time[ _-]?out(?:$|[^p])|timed[ _-]?out|deadline[ _-]?exceeded`)

func isTimeout(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		return text == "408" || text == "504" || timeoutPattern.MatchString(text) // HTTP statuses
	})
}

// wrappedTimeout matches messages that show a timeout whatever error wraps them. Other messages that mention one, such
// as "timeout must be positive", count only if the error has no type.
var wrappedTimeout = regexp.MustCompile(`(?i)timed[ _-]?out\b|deadline[ _-]?exceeded|time[ _-]?out[ _-]?(?:error|exception)\b|due to (?:a )?time[ _-]?out\b`)

// reportsTimeout reports whether an error message shows a timeout. A stack trace in the message is ignored.
func reportsTimeout(message string) bool {
	message, _, _ = strings.Cut(message, "Traceback (most recent call last)")
	return wrappedTimeout.MatchString(message)
}
