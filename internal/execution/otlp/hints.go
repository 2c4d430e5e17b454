package otlp

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// hints are names found in places that no convention defines.
type hints struct {
	user, session, model, provider string
	agent                          string // from a separate attribute
	graph                          string // from metadata, which also names graphs that are not agents
}

// maxHintText is the maximum length of an attribute's JSON that is searched.
const maxHintText = 16 << 10

// hinted searches for names in what applications and libraries attach to a span: attributes whose names end like those
// of a user, a session or an agent, and members of JSON objects in metadata and parameters. The result is cached.
func (s *span) hinted() *hints {
	if s.hinting {
		return &s.hints
	}
	s.hinting = true
	if s.attributes.traits&(isParameters|namesItself) != 0 {
		s.hints.read(&s.attributes)
	}
	if s.hints.user == "" {
		s.hints.user = s.attributes.name(execution.MaxUser, "mastra.metadata.resourceId") // the owner of the memory
	}
	return &s.hints
}

func (h *hints) read(a *attributes) {
	for _, pair := range a.pairs {
		of := traitsOf.Get(pair.GetKey())
		if text := pair.GetValue().GetStringValue(); len(text) > 1 && text[0] == '{' {
			if len(text) <= maxHintText && of.set&isParameters != 0 && mayHint(text) {
				h.object(text)
			}
			continue
		}
		if of.names != nobody {
			h.attribute(of.names, pair.GetValue())
		}
	}
}

// parameterSuffixes end the names of attributes that contain metadata of an application or parameters of a request.
var parameterSuffixes = []string{"metadata", "invocation_parameters", "invocation_params", "runtimeContext", "associations"}

// named is the kind of thing that an attribute's value names.
type named int

const (
	nobody named = iota
	aUser
	aSession
	anAgent
)

// namedBy returns what an attribute's value names by the last words of its name: user_id, userId and user.id name a
// user. Users, sessions and threads of underlying systems, such as databases, are ignored.
func namedBy(key string) named {
	if rest, is := cutFoldedSuffix(key, "name"); is {
		if _, is := cutWord(strings.TrimRight(rest, "._-"), "agent"); is {
			return anAgent
		}
		return nobody
	}
	rest, is := cutFoldedSuffix(key, "id")
	if !is {
		return nobody
	}
	rest = strings.TrimRight(rest, "._-")
	for _, one := range []struct {
		word string
		is   named
	}{
		{"user", aUser}, {"enduser", aUser}, {"session", aSession}, {"conversation", aSession}, {"thread", aSession}, {"chat", aSession},
	} {
		if _, is := cutWord(rest, one.word); is {
			if isOfSystem(key) {
				return nobody
			}
			return one.is
		}
	}
	return nobody
}

// isOfSystem reports whether an attribute is from OpenTelemetry's conventions for systems.
func isOfSystem(key string) bool {
	area, _, _ := strings.Cut(key, ".")
	switch area {
	case "db", "messaging", "rpc", "net", "network", "os", "process", "host", "container", "k8s", "system", "http", "tls", "aws", "azure", "gcp", "cloud":
		return !strings.HasPrefix(key, "gcp.vertex.agent.")
	}
	return key == "thread.id" // of the operating system
}

// cutWord removes a word from the end of a name. It must be a whole word: at the start of the name, after a character
// that is not a letter, or with a capital letter after a small one.
func cutWord(name, word string) (rest string, is bool) {
	if rest, is = cutFoldedSuffix(name, word); !is || rest == "" {
		return rest, is
	}
	last, first := rest[len(rest)-1], name[len(rest)]
	isLetter := last >= 'a' && last <= 'z' || last >= 'A' && last <= 'Z'
	return rest, !isLetter || last >= 'a' && first >= 'A' && first <= 'Z'
}

func cutFoldedSuffix(text, suffix string) (rest string, is bool) {
	at := len(text) - len(suffix)
	// Comparing the last letter first is faster: few texts share it.
	if at < 0 || (text[len(text)-1]^suffix[len(suffix)-1])&^0x20 != 0 || !strings.EqualFold(text[at:], suffix) {
		return text, false
	}
	return text[:at], true
}

func hasAnyFoldedSuffix(text string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(suffix string) bool {
		_, is := cutFoldedSuffix(text, suffix)
		return is
	})
}

func (h *hints) attribute(what named, value *commonpb.AnyValue) {
	name := toName(textOf(value), execution.MaxUser)
	if isPlaceholder(name) {
		return
	}
	switch what {
	case aUser:
		h.user = cmp.Or(h.user, name)
	case aSession:
		h.session = cmp.Or(h.session, name)
	case anAgent:
		h.agent = cmp.Or(h.agent, name)
	}
}

func mayHint(text string) bool {
	for _, word := range []string{"user", "User", "session", "Session", "thread", "conversation", "chat_id", "chatId", "safety_identifier", `"model"`, "agent_name", "ls_provider"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// object reads the names in a JSON object and in its metadata.
func (h *hints) object(text string) {
	var members, inner map[string]hintMember
	if json.Unmarshal([]byte(text), &members) != nil {
		return // not an object, so there are no names in it
	}
	h.members(members)
	if metadata := members["metadata"].object; metadata != nil && json.Unmarshal(metadata, &inner) == nil {
		h.members(inner)
	}
}

func (h *hints) members(of map[string]hintMember) {
	h.user = cmp.Or(h.user, of["user_id"].name(), of["userId"].name(), of["user"].name(), of["safety_identifier"].name())
	h.session = cmp.Or(h.session, of["session_id"].name(), of["sessionId"].name(), of["thread_id"].name())
	h.graph = cmp.Or(h.graph, of["lc_agent_name"].name())
	h.model = cmp.Or(h.model, of["model"].name())
	h.provider = cmp.Or(h.provider, of["ls_provider"].name())
	if h.user != "" && h.session != "" {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		switch namedBy(key) {
		case aUser:
			h.user = cmp.Or(h.user, of[key].name())
		case aSession:
			h.session = cmp.Or(h.session, of[key].name())
		}
	}
}

// hintMember is a text, a number or an object. Other values are empty.
type hintMember struct {
	text   string
	object json.RawMessage
}

func (m *hintMember) UnmarshalJSON(data []byte) error {
	switch {
	case data[0] == '"':
		return json.Unmarshal(data, &m.text)
	case data[0] == '-' || data[0] >= '0' && data[0] <= '9':
		m.text = string(data)
	case data[0] == '{':
		m.object = slices.Clone(data)
	}
	return nil
}

func (m hintMember) name() string {
	if name := toName(m.text, execution.MaxUser); !isPlaceholder(name) {
		return name
	}
	return ""
}
