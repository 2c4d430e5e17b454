package execution

import (
	"context"
	"encoding/json"
	"time"
)

// Content is input or output of an execution that a log record carries instead of the execution's span.
type Content struct {
	TraceID, SpanID string
	At              time.Time       // when the record was made
	Message         bool            // it is one message of several; otherwise all of the input and output
	Input, Output   json.RawMessage // nil: it has none
}

// Source is the fingerprint of the token that content was sent with.
type Source [8]byte

type sourceKey struct{}

// WithSource returns a context with a request's source.
func WithSource(ctx context.Context, source Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, source)
}

// SourceOf returns the source in ctx, or the zero Source.
func SourceOf(ctx context.Context) Source {
	source, _ := ctx.Value(sourceKey{}).(Source)
	return source
}

// Merge combines the contents of one span: complete contents take precedence over single messages, which keep their order.
func Merge(contents []Content) (input, output json.RawMessage) {
	for _, c := range contents {
		if !c.Message {
			input, output = first(input, c.Input), first(output, c.Output)
		}
	}
	if input == nil {
		input = listOf(contents, func(c Content) json.RawMessage { return c.Input })
	}
	if output == nil {
		output = listOf(contents, func(c Content) json.RawMessage { return c.Output })
	}
	return input, output
}

func first(a, b json.RawMessage) json.RawMessage {
	if a != nil {
		return a
	}
	return b
}

// listOf returns the messages as a JSON array, or nil.
func listOf(contents []Content, part func(Content) json.RawMessage) json.RawMessage {
	var all json.RawMessage
	for _, c := range contents {
		if contents := part(c); c.Message && contents != nil {
			if all == nil {
				all = json.RawMessage{'['}
			} else {
				all = append(all, ',')
			}
			all = append(all, contents...)
		}
	}
	if all == nil {
		return nil
	}
	return append(all, ']')
}
