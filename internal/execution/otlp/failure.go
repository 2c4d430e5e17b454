package otlp

import (
	"regexp"
	"slices"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// statusOf says how a span ended, and why where it failed.
func statusOf(s *span) (status execution.Status, message string) {
	errorType := s.attributes.text("error.type")
	if saysNone(errorType) {
		errorType = ""
	}
	thrown := s.exception()
	if !s.failed(errorType, thrown) {
		return execution.Success, ""
	}
	exception := collect(thrown.GetAttributes())
	types := []string{errorType, exception.text("exception.type")}
	if leftEarly(first(append(types, s.sent.GetStatus().GetMessage())...)) {
		return execution.Success, ""
	}
	said := []string{
		s.sent.GetStatus().GetMessage(),
		exception.text("exception.message"),
		s.attributes.text("error.message", "exception.message", "langfuse.observation.status_message", "error"),
	}
	message = first(said...)

	status = execution.Failure
	if isTimeout(types...) || first(types...) == "" && isTimeout(message) || slices.ContainsFunc(said, tellsTimeout) || causedByTimeout(exception.text("exception.stacktrace")) {
		status = execution.Timeout
	}
	if kind := first(types...); kind != "" && !strings.Contains(message, kind) {
		message = strings.TrimSuffix(kind+": "+message, ": ")
	}
	return status, clean(message) // the ledger cuts it, after masking
}

// causedByTimeout reports whether the last cause that a stack of Java's names is a time-out, of which the errors around it may not
// tell. OkHttp cancels a call whose time is over, so the last may be that.
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
		timedOut = tellsTimeout(line) || strings.EqualFold(message, "timeout")
	}
	return timedOut
}

// leftEarly reports whether an error only says that the reader of a stream closed it before its end, or that a run waits. Python raises
// GeneratorExit in the generator then; wrappers of streams that notice it themselves say that the stream was abandoned.
func leftEarly(said string) bool {
	const closed = "GeneratorExit"
	kind, _, _ := strings.Cut(said, ":")
	kind, _, _ = strings.Cut(kind, "(")
	return kind == closed || strings.HasSuffix(kind, "."+closed) || abandoned.MatchString(kind) || paused.MatchString(kind)
}

// paused knows what frameworks raise when a run waits for somebody, or hands over to the graph around it: signals, not errors.
var paused = regexp.MustCompile(`(?:^|\.)(?:GraphInterrupt|NodeInterrupt|GraphBubbleUp|ParentCommand|HumanFeedbackPending)$|^pydantic_ai\.exceptions\.(?:CallDeferred|ApprovalRequired)$`)

var abandoned = regexp.MustCompile(`(?i)^(?:[\w.]*abandoned ?stream(?:Error|Exception)?|stream (?:was |has been )?abandoned)$`)

// failed reports whether a span ended in an error. Instrumentations say so by its status, or leave that unset or OK and
// say it otherwise.
func (s *span) failed(errorType string, thrown *tracepb.Span_Event) bool {
	code := s.sent.GetStatus().GetCode()
	switch {
	case code == tracepb.Status_STATUS_CODE_ERROR, errorType != "":
		return true
	case code == tracepb.Status_STATUS_CODE_OK && thrown != nil && cancelled(thrown):
		return false // who had enough of it ended it
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

// cancelled reports whether an exception only says that a task was cancelled.
func cancelled(thrown *tracepb.Span_Event) bool {
	exception := collect(thrown.GetAttributes())
	kind := exception.text("exception.type")
	kind = kind[strings.LastIndexByte(kind, '.')+1:]
	return kind == "CancelledError" || kind == "CancellationException" || kind == "AbortError"
}

// endedBy reports whether a span ended when it recorded an exception. If it went on, it coped with the exception.
func (s *span) endedBy(thrown *tracepb.Span_Event) bool {
	const within = uint64(5 * time.Millisecond)
	at, end := thrown.GetTimeUnixNano(), s.sent.GetEndTimeUnixNano()
	return at >= end || end-at <= within
}

// finishedInError reports whether the only reason why a call or a run finished is an error. One that used tokens did not
// fail: some instrumentations give this reason where they know none.
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

// messagesFinished reports whether all messages of an output in JSON that say why they finished give one reason. Quotes in what
// a message says are escaped, so that it is not taken for a member.
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

// exception is the last that the span recorded; nil: none.
func (s *span) exception() *tracepb.Span_Event {
	for _, event := range slices.Backward(s.sent.GetEvents()) {
		if event.GetName() == "exception" {
			return event
		}
	}
	return nil
}

// first is the first text that says something. _OTHER is an error.type that does not.
func first(texts ...string) string {
	for _, text := range texts {
		if text != "" && text != "_OTHER" {
			return text
		}
	}
	return ""
}

// timeoutPattern knows the ways to say that time ran out: timeout, TimeoutError, ReadTimeout, ETIMEDOUT, DEADLINE_EXCEEDED,
// context.deadlineExceededError, "Request timed out." It does not take a runtimeOutput for one.
var timeoutPattern = regexp.MustCompile(`(?i)time[ _-]?out(?:$|[^p])|timed[ _-]?out|deadline[ _-]?exceeded`)

func isTimeout(said ...string) bool {
	return slices.ContainsFunc(said, func(text string) bool {
		return text == "408" || text == "504" || timeoutPattern.MatchString(text) // statuses of HTTP
	})
}

// wrappedTimeout knows messages that tell of a time-out whatever error they are wrapped in. Others that only mention one, such
// as "timeout must be positive", are believed where nothing names the error's type.
var wrappedTimeout = regexp.MustCompile(`(?i)timed[ _-]?out\b|deadline[ _-]?exceeded|time[ _-]?out[ _-]?(?:error|exception)\b|due to (?:a )?time[ _-]?out\b`)

// tellsTimeout reports whether an error's message tells of a time-out. A stack that is a part of it does not count.
func tellsTimeout(message string) bool {
	message, _, _ = strings.Cut(message, "Traceback (most recent call last)")
	return wrappedTimeout.MatchString(message)
}
