package otlp

import (
	"encoding/json"
	"strings"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// The last words of names of attributes that contain an input or output, in order of precedence.
var (
	inputWords  = []string{"input", "inputs", "arguments", "args", "prompt", "prompts", "request", "query", "question"}
	outputWords = []string{"output", "outputs", "result", "results", "response", "completion", "completions", "answer"}
)

// ending returns an attribute of an unknown dialect: one with content whose name ends in one of the words.
func ending(words []string) source {
	return func(s *span) json.RawMessage {
		best, found := len(words), ""
		for _, pair := range s.attributes.pairs {
			name := pair.GetKey()
			last := withoutValue(name)
			for i, word := range words[:min(best+1, len(words))] {
				if _, is := cutWord(last, word); !is {
					continue
				}
				if (i < best || name < found) && holdsContent(pair.GetValue()) {
					best, found = i, name
				}
				break
			}
		}
		if found == "" {
			return nil
		}
		return encodeValue(s.attributes.value(found))
	}
}

func holdsContent(value *commonpb.AnyValue) bool {
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return !isAbsent(v.StringValue)
	case *commonpb.AnyValue_ArrayValue, *commonpb.AnyValue_KvlistValue:
		return true
	}
	return false
}

// withoutValue removes from a name a last word that only means that this is the value.
func withoutValue(name string) string {
	for _, more := range []string{"value", "data", "messages", "content", "text", "json"} {
		if rest, is := cutWord(name, more); is && rest != "" {
			return strings.TrimRight(rest, "._-:")
		}
	}
	return name
}

// logged reads a JSON list of events, as Logfire sends them: the responses if answered is set, otherwise the messages
// before them.
func logged(name string, answered bool) source {
	return func(s *span) json.RawMessage {
		text := s.attributes.value(name).GetStringValue()
		if len(text) == 0 || text[0] != '[' {
			return nil
		}
		var events []json.RawMessage
		if json.Unmarshal([]byte(text), &events) != nil {
			return nil
		}
		var found list
		for _, event := range events {
			var fields struct {
				Name string `json:"event.name"`
			}
			if json.Unmarshal(event, &fields) != nil {
				return nil
			}
			if (fields.Name == "gen_ai.choice") == answered && strings.HasPrefix(fields.Name, "gen_ai.") {
				found = append(found, execution.Sanitize(event))
			}
		}
		if found == nil {
			return nil
		}
		return found.encode()
	}
}

// tool returns the name of the tool that a span is a use of, from its attributes or otherwise from the span's name.
func (s *span) tool() string {
	if name := s.attributes.name(execution.MaxName, toolNames...); name != "" {
		return name
	}
	if strings.HasPrefix(s.scope, "logfire") {
		return s.attributes.name(execution.MaxName, "name")
	}
	found := ""
	for _, pair := range s.attributes.pairs {
		key := pair.GetKey()
		rest, is := cutFoldedSuffix(key, "name")
		if !is || found != "" && found <= key {
			continue
		}
		if _, is = cutWord(strings.TrimRight(rest, "._-:"), "tool"); is && s.attributes.name(execution.MaxName, key) != "" {
			found = key
		}
	}
	if found != "" {
		return s.attributes.name(execution.MaxName, found)
	}
	return s.toolOfSpan()
}

// toolOfSpan returns a span's name without the words that mean a tool use, as in "execute_tool get_weather".
func (s *span) toolOfSpan() string {
	name := s.sent.GetName()
	for _, prefix := range []string{"execute_tool", "tool_call", "tool:", "tool", "function:"} {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) && (len(name) == len(prefix) || strings.HasSuffix(prefix, ":") || name[len(prefix)] == ' ') {
			name = strings.TrimLeft(name[len(prefix):], ": ")
			break
		}
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".tool"), ".run")
	if name = toName(name, execution.MaxName); isPlaceholder(name) || name == "ai.toolCall" {
		return ""
	}
	return name
}
