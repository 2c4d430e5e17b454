package otlp

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// isPlaceholder reports whether a name stands for none: what libraries write where they do not know one.
func isPlaceholder(name string) bool {
	switch strings.ToLower(name) {
	case "none", "null", "nil", "unknown", "undefined", "n/a", "nan", "-", `""`, "''", "{}", "[]", "<nil>", "not_set", "unset":
		return true
	}
	return strings.HasPrefix(name, "[Scrubbed due to ") || name == "[REDACTED]" || name == "[Filtered]"
}

// unquoted takes the quotes from a text that was sent as JSON.
func unquoted(text string) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return text
	}
	if inner := text[1 : len(text)-1]; !strings.ContainsAny(inner, `"\`) {
		return inner
	}
	return text
}

// defaultNames are those that frameworks give to what the application did not name.
var defaultNames = []string{"agent workflow", "langgraph", "agent", "assistant", "workflow", "agentexecutor", "functionagent", "graph", "swarm", "crew"}

func isDefaultName(name string) bool {
	for _, one := range defaultNames {
		if strings.EqualFold(name, one) {
			return true
		}
	}
	return false
}

// agentOfMethod returns the agent in a span's name that is an agent's and one of its methods, as in
// weather_agent.on_messages_stream.
func agentOfMethod(name string) string {
	agent, method, found := strings.Cut(name, ".")
	if found && (strings.HasPrefix(method, "on_messages") || method == "run_stream") {
		return agent
	}
	return name
}

// hints are names that stand where nothing says that they are names.
type hints struct{ user, session, agent, model, provider string }

// hintTexts are attributes that may be a JSON object with names in it.
var hintTexts = []string{"metadata", "llm.invocation_parameters", "langfuse.trace.metadata", "langfuse.observation.metadata", "mlflow.spanInputs"}

// maxHintText is how long such a text may be to be read.
const maxHintText = 16 << 10

// hinted looks for names in what applications attach to a span: attributes in its metadata, context or associations, and
// members of JSON objects. It looks once.
func (s *span) hinted() *hints {
	if s.hints != nil {
		return s.hints
	}
	s.hints = &hints{}
	for _, pair := range s.sent.GetAttributes() {
		s.hints.attribute(pair)
	}
	for _, name := range hintTexts {
		text := s.attributes[name].GetStringValue()
		if len(text) > 1 && len(text) <= maxHintText && text[0] == '{' && mayHint(text) {
			s.hints.object(text)
		}
	}
	return s.hints
}

// attribute reads one under metadata, context or associations, such as traceloop.association.properties.user_id.
func (h *hints) attribute(pair *commonpb.KeyValue) {
	key := pair.GetKey()
	if !strings.Contains(key, "metadata.") && !strings.Contains(key, "association.") && !strings.Contains(key, "context.") && !strings.Contains(key, ".attributes.") {
		return
	}
	value := ""
	switch v := pair.GetValue().GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		value = unquoted(v.StringValue)
	case *commonpb.AnyValue_IntValue:
		value = attributes{"": pair.GetValue()}.text("")
	}
	if value = toName(value, execution.MaxUser); value == "" || isPlaceholder(value) {
		return
	}
	switch last := strings.ToLower(strings.ReplaceAll(key[lastName(key):], "_", "")); last {
	case "userid", "user.id", "enduserid":
		h.user = cmp.Or(h.user, value)
	case "sessionid", "session.id", "threadid", "conversationid", "chatid":
		h.session = cmp.Or(h.session, value)
	}
}

// lastName is where the last part of an attribute's name begins; user.id and session.id are one part.
func lastName(key string) int {
	for _, pair := range []string{".user.id", ".session.id"} {
		if strings.HasSuffix(key, pair) {
			return len(key) - len(pair) + 1
		}
	}
	return strings.LastIndexByte(key, '.') + 1
}

func mayHint(text string) bool {
	for _, word := range []string{"user", "session", "thread", "conversation", "chat_id", "safety_identifier", `"model"`, "agent_name", "ls_provider"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// hintObject is what of a JSON object names somebody. What has another type is no name.
type hintObject struct {
	User             looseText `json:"user"`
	UserID           looseText `json:"user_id"`
	UserIDCamel      looseText `json:"userId"`
	SafetyIdentifier looseText `json:"safety_identifier"`
	SessionID        looseText `json:"session_id"`
	SessionIDCamel   looseText `json:"sessionId"`
	ThreadID         looseText `json:"thread_id"`
	ConversationID   looseText `json:"conversation_id"`
	Agent            looseText `json:"lc_agent_name"`
	Model            looseText `json:"model"`
	Provider         looseText `json:"ls_provider"`
}

func (h *hints) object(text string) {
	var found struct {
		hintObject
		Metadata looseObject `json:"metadata"`
	}
	if json.Unmarshal([]byte(text), &found) != nil {
		return // it is no object: there are no names in it
	}
	for _, one := range []hintObject{found.hintObject, found.Metadata.hintObject} {
		h.user = cmp.Or(h.user, one.UserID.name(), one.UserIDCamel.name(), one.User.name(), one.SafetyIdentifier.name())
		h.session = cmp.Or(h.session, one.SessionID.name(), one.SessionIDCamel.name(), one.ThreadID.name(), one.ConversationID.name())
		h.agent = cmp.Or(h.agent, one.Agent.name())
		h.model = cmp.Or(h.model, one.Model.name())
		h.provider = cmp.Or(h.provider, one.Provider.name())
	}
}

// looseText is a text or a number; whatever else stands in its place is empty.
type looseText string

func (l *looseText) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*l = looseText(text)
	} else if len(data) > 0 && (data[0] == '-' || data[0] >= '0' && data[0] <= '9') {
		*l = looseText(data)
	}
	return nil
}

func (l looseText) name() string {
	if name := toName(string(l), execution.MaxUser); !isPlaceholder(name) {
		return name
	}
	return ""
}

// looseObject is an object; whatever else stands in its place is empty.
type looseObject struct{ hintObject }

func (l *looseObject) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '{' {
		return json.Unmarshal(data, &l.hintObject)
	}
	return nil
}

// model is the model that was called. A call that failed may name it in its parameters alone.
func (s *span) model() string {
	name := s.attributes.name(execution.MaxName, modelNames...)
	if name == "" {
		name = s.attributes.name(execution.MaxName, "model")
	}
	if name == "" && s.attributes.text("genkit:metadata:subtype") != "" {
		name = s.attributes.name(execution.MaxName, "genkit:name")
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if name == "" && strings.HasPrefix(s.sent.GetName(), "haystack.") {
		name = toName(s.haystackModel(), execution.MaxName)
	}
	return cmp.Or(name, s.hinted().model, toName(modelInName(s.sent.GetName()), execution.MaxName))
}

// allProviderNames are read in this order: the AI SDK and LiteLLM say more where theirs is there.
var allProviderNames = append([]string{"ai.model.provider"}, append(slices.Clone(providerNames), "litellm.provider.model")...)

// provider is whose model it is.
func (s *span) provider() string {
	framework := ""
	for _, name := range allProviderNames {
		said := s.attributes.text(name)
		if name == "litellm.provider.model" {
			said, _, _ = strings.Cut(said, "/")
		}
		provider := providerOf(said)
		switch {
		case provider == "" || isPlaceholder(provider):
		case isFramework(provider):
			framework = cmp.Or(framework, provider)
		default:
			return toName(provider, execution.MaxProvider)
		}
	}
	if provider, _, found := strings.Cut(s.attributes.text("genkit:name"), "/"); found {
		return toName(providerOf(provider), execution.MaxProvider)
	}
	return toName(cmp.Or(providerOf(s.hinted().provider), framework, s.impliedProvider()), execution.MaxProvider)
}

// providerOf makes one name of those that a provider has. Some write it with a capital letter; others add the interface that
// they use, as in openai.chat. OpenTelemetry's own names with dots stay.
func providerOf(said string) string {
	name := strings.ToLower(said)
	owner, _, dotted := strings.Cut(name, ".")
	switch {
	case !dotted:
	case owner == "aws", owner == "gcp", owner == "azure", owner == "az", owner == "ibm":
	default:
		name = owner
	}
	switch name {
	case "gemini", "google", "gcp.gen_ai", "google_genai", "googleai", "google-genai":
		return "gcp.gemini"
	}
	return name
}

// isFramework reports whether a name is that of a library that calls models of any provider.
func isFramework(provider string) bool {
	switch provider {
	case "strands-agents", "langgraph", "langchain", "spring_ai", "microsoft", "autogen", "crewai", "llama_index", "haystack", "litellm", "mlflow", "pydantic_ai", "agno", "dspy":
		return true
	}
	return false
}
