package otlp

import (
	"encoding/json"
	"strings"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// source returns an input or output from one place where instrumentations put it, or nil.
type source func(*span) json.RawMessage

// Inputs and outputs of agent runs and model calls, in order of precedence.
var (
	inputs = []source{
		attribute("gen_ai.input.messages"), numbered("gen_ai.prompt."), attribute("gen_ai.prompt"),
		numbered("llm.input_messages."),
		messages("gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message"),
		attribute("ai.prompt.messages"), attribute("ai.prompt"), attribute("ai.value"), attribute("ai.values"),
		numbered("llm.prompts."), numbered("embedding.embeddings."),
		attribute("pydantic_ai.all_messages"), attribute("langfuse.observation.input"), attribute("mlflow.spanInputs"),
		attribute("genkit:input"), attribute("gcp.vertex.agent.llm_request"),
		logged("events", false), logged("all_messages_events", false),
		attribute("raw_input"), attribute("input.value"), attribute("traceloop.entity.input"), ending(inputWords),
	}
	outputs = []source{
		attribute("gen_ai.output.messages"), numbered("gen_ai.completion."), attribute("gen_ai.completion"),
		numbered("llm.output_messages."),
		messages("gen_ai.choice"),
		answer("ai.response."), answer("ai.result."),
		numbered("llm.choices."),
		attribute("pydantic_ai.final_result"), attribute("final_result"), attribute("langfuse.observation.output"),
		attribute("mlflow.spanOutputs"), attribute("genkit:output"), attribute("gcp.vertex.agent.llm_response"),
		logged("events", true),
		attribute("response"), attribute("response_data"), attribute("output.value"), attribute("traceloop.entity.output"), ending(outputWords),
	}
	toolInputs = []source{
		attribute("gen_ai.tool.call.arguments"), attribute("ai.toolCall.args"),
		attribute("gcp.vertex.agent.tool_call_args"), attribute("spring.ai.tool.call.arguments"),
		attribute("langfuse.observation.input"), attribute("mlflow.spanInputs"), attribute("genkit:input"),
		attribute("tool_arguments"),
		attribute("input.value"), attribute("traceloop.entity.input"), attribute("gen_ai.prompt"),
		messages("gen_ai.tool.message"), ending(inputWords),
	}
	toolOutputs = []source{
		attribute("gen_ai.tool.call.result"), attribute("ai.toolCall.result"),
		attribute("anthropic.tool_result.content"), attribute("gcp.vertex.agent.tool_response"), attribute("spring.ai.tool.call.result"),
		attribute("langfuse.observation.output"), attribute("mlflow.spanOutputs"), attribute("genkit:output"),
		attribute("tool_response"),
		attribute("output.value"), attribute("traceloop.entity.output"), attribute("gen_ai.completion"),
		messages("gen_ai.choice"), ending(outputWords),
	}
)

// contentOf returns the input and output of an execution. The ledger replaces what cannot be stored.
func contentOf(s *span, kind execution.Kind) (input, output json.RawMessage) {
	if kind == execution.Tool {
		input, output = withName(s, take(s, toolInputs)), take(s, toolOutputs)
	} else {
		input, output = withInstructions(s, take(s, inputs)), take(s, outputs)
	}
	return input, output
}

func take(s *span, sources []source) json.RawMessage {
	for _, from := range sources {
		if content := from(s); content != nil {
			return content
		}
	}
	return nil
}

// withName adds the tool's name to its arguments, since an execution has no field for it.
func withName(s *span, arguments json.RawMessage) json.RawMessage {
	name := s.tool()
	if name == "" {
		return arguments
	}
	tool := append(make([]byte, 0, len(name)+len(arguments)+32), `{"tool":`...)
	tool = appendText(tool, name)
	if arguments != nil {
		tool = append(append(tool, `,"arguments":`...), arguments...)
	}
	return append(tool, '}')
}

// withInstructions puts the system instructions before the input, as a system message.
func withInstructions(s *span, input json.RawMessage) json.RawMessage {
	value := s.attribute("gen_ai.system_instructions")
	if value.GetValue() == nil {
		return input
	}
	instructions := object{{"role", encodeText("system")}, {"parts", encodeValue(value)}}.encode()
	switch {
	case input == nil:
		return list{instructions}.encode()
	case input[0] == '[' && len(input) > len("[]"):
		joined := append(json.RawMessage{'['}, instructions...)
		return append(append(joined, ','), input[1:]...)
	default:
		return list{instructions, input}.encode()
	}
}

func attribute(name string) source {
	return func(s *span) json.RawMessage {
		value := s.attribute(name)
		switch v := value.GetValue().(type) {
		case nil:
			return nil
		case *commonpb.AnyValue_StringValue:
			if text := strings.TrimSpace(v.StringValue); beginsAsJSON(text) {
				return execution.Sanitize(s.work.content(text)) // encoded as text if it is not valid JSON
			}
		}
		return encodeValue(value)
	}
}

// numbered restores a list that was flattened into attributes: prefix0.role, prefix0.content, prefix1.role … A list of
// roles alone is ignored: the instrumentation did not understand the messages.
func numbered(prefix string) source {
	return func(s *span) json.RawMessage {
		var tree branch
		says := false // it has more than roles and finish reasons
		if s.attributes.traits&isElement == 0 {
			return nil
		}
		for _, pair := range s.attributes.pairs {
			rest, found := strings.CutPrefix(pair.GetKey(), prefix)
			if index, _, _ := strings.Cut(rest, "."); found && isNumber(index) {
				tree.add(rest, encodeValue(pair.GetValue()))
				says = says || !strings.HasSuffix(rest, ".role") && !strings.HasSuffix(rest, ".finish_reason")
			}
		}
		if !says {
			return nil
		}
		return tree.encode()
	}
}

// answer collects the parts of a model's response in the AI SDK's attributes. A single text is returned unchanged.
func answer(prefix string) source {
	parts := []string{"text", "reasoning", "toolCalls", "object", "files"}
	return func(s *span) json.RawMessage {
		var found object
		for _, part := range parts {
			if value := s.attributes.value(prefix + part); value != nil {
				found = append(found, member{part, encodeValue(value)})
			}
		}
		switch {
		case len(found) == 0:
			return nil
		case len(found) == 1 && found[0].name == "text":
			return found[0].value
		default:
			return found.encode()
		}
	}
}

// isContent reports whether an event contains messages to or from a model.
func isContent(event string) bool { return strings.HasPrefix(event, "gen_ai.") }

// messages collects the events of these names, each of which is a message.
func messages(names ...string) source {
	return func(s *span) json.RawMessage {
		var found list
		for _, event := range s.sent.GetEvents() {
			for _, name := range names {
				if event.GetName() == name {
					attrs := collect(event.GetAttributes())
					found = append(found, message(name, &attrs))
				}
			}
		}
		if found == nil {
			return nil
		}
		return found.encode()
	}
}

// message makes a message from an event's attributes. The role defaults to the one in the event's name.
func message(event string, attrs *attributes) json.RawMessage {
	const whole = "gen_ai.event.content" // for some events contains everything but the role
	members := make(map[string]json.RawMessage)
	if value := attrs.value(whole); value != nil {
		content := encodeValue(value)
		if json.Unmarshal(content, &members) != nil || members == nil {
			members = map[string]json.RawMessage{"content": content}
		}
	} else {
		for _, pair := range attrs.pairs {
			if name := pair.GetKey(); !strings.HasPrefix(name, "gen_ai.") && name != "event.name" {
				members[name] = encodeValue(pair.GetValue())
			}
		}
	}
	if _, has := members["role"]; !has {
		role := strings.TrimSuffix(strings.TrimPrefix(event, "gen_ai."), ".message")
		if role == "choice" {
			role = "assistant"
		}
		members["role"] = encodeText(role)
	}
	return sorted(members).encode()
}
