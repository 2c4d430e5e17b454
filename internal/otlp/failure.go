package otlp

import (
	"regexp"
	"slices"
	"strings"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// statusOf says how a span ended, and why where it failed.
func statusOf(s *span) (status execution.Status, message string) {
	errorType := s.attributes.text("error.type")
	thrown := s.exception()
	if !s.failed(errorType, thrown) {
		return execution.Success, ""
	}
	types := []string{errorType, thrown.text("exception.type")}
	message = first(
		s.sent.GetStatus().GetMessage(),
		thrown.text("exception.message"),
		s.attributes.text("error.message", "exception.message", "langfuse.observation.status_message"),
	)

	status = execution.Failure
	if isTimeout(types...) || first(types...) == "" && isTimeout(message) || wrappedTimeout.MatchString(message) {
		status = execution.Timeout
	}
	if kind := first(types...); kind != "" && !strings.Contains(message, kind) {
		message = strings.TrimSuffix(kind+": "+message, ": ")
	}
	return status, clean(message) // the ledger cuts it, after masking
}

// failed reports whether a span ended in an error: by its status, or where that is unset by an error that it recorded.
func (s *span) failed(errorType string, thrown attributes) bool {
	switch s.sent.GetStatus().GetCode() {
	case tracepb.Status_STATUS_CODE_ERROR:
		return true
	case tracepb.Status_STATUS_CODE_OK:
		return errorType != ""
	}
	return errorType != "" || thrown != nil || strings.EqualFold(s.attributes.text("langfuse.observation.level"), "ERROR")
}

// wrappedTimeout knows messages that tell of a time-out whatever error they are wrapped in. Others that only mention one, such
// as "timeout must be positive", are believed where nothing names the error's type.
var wrappedTimeout = regexp.MustCompile(`(?i)\btimed[ _-]?out\b|\bdeadline[ _-]?exceeded\b`)

// exception is the last that the span recorded: what it ended with.
func (s *span) exception() attributes {
	events := s.sent.GetEvents()
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].GetName() == "exception" {
			return collect(events[i].GetAttributes())
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
