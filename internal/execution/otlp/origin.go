package otlp

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// processOf is a short digest of a resource: one process's spans have the same.
func processOf(resource []*commonpb.KeyValue) string {
	if len(resource) == 0 {
		return ""
	}
	parts := make([]string, 0, len(resource))
	for _, pair := range resource {
		parts = append(parts, pair.GetKey()+"\x00"+string(encodeValue(pair.GetValue())))
	}
	slices.Sort(parts)
	digest := fnv.New128a()
	for _, part := range parts {
		_, _ = digest.Write([]byte(part)) // never fails
		_, _ = digest.Write([]byte{1})
	}
	return hex.EncodeToString(digest.Sum(nil)[:8])
}

// executionRole is the span's role as its relatives are told of it.
func (s *span) executionRole() execution.Role {
	switch s.role {
	case agentRun:
		return execution.RoleRun
	case chain:
		return execution.RoleStep
	case modelCall:
		return execution.RoleCall
	case toolUse:
		return execution.RoleTool
	}
	return execution.RoleNone
}

// answers are attributes with a provider's answer as JSON.
var answers = []string{"output.value", "langfuse.observation.output", "mlflow.spanOutputs", "response", "response_data", "haystack.component.output", "haystack.agent.step.llm.output"}

// responseIDs begin the ids that providers give to their answers. The whole answer's come before those of its parts.
var responseIDs = []string{"resp_", "chatcmpl-", "msg_", "cmpl-", "gen-"}

// maxAnswer is how much of an answer is searched for its id.
const maxAnswer = 16 << 10

// responseID is the provider's id of a model call's answer.
func (s *span) responseID() string {
	if s.role != modelCall {
		return ""
	}
	if s.requestID != "" {
		return s.requestID
	}
	for _, name := range answers {
		text := s.attributes.value(name).GetStringValue()
		if id := idIn(text[:min(len(text), maxAnswer)]); id != "" {
			return toName(id, execution.MaxUser)
		}
	}
	return ""
}

// idIn finds a member "id" of JSON whose value looks like a provider's.
func idIn(text string) string {
	for _, prefix := range responseIDs {
		before, after, found := strings.Cut(text, `"`+prefix)
		if !found || !strings.HasSuffix(strings.TrimRight(before, " :"), `"id"`) {
			continue
		}
		if id, _, ends := strings.Cut(after, `"`); ends {
			return prefix + id
		}
	}
	return ""
}

// unread is how many spans of an instrumentation look like generative AI, and say nothing that is understood.
type unread struct {
	scope string
	spans int
}

// maxUnread is how many instrumentations an export's answer tells apart.
const maxUnread = 8

func (t *translation) noteUnread(s *span) {
	if s.known || s.role != bystander || s.attributes.has("traceloop.span.kind") || s.attributes.traits&isGenerative == 0 {
		return
	}
	for i := range t.unread {
		if t.unread[i].scope == s.scope || i == maxUnread-1 {
			t.unread[i].spans++
			return
		}
	}
	t.unread = append(t.unread, unread{s.scope, 1})
}

// warning says which spans were not understood.
func warning(all []unread) string {
	if len(all) == 0 {
		return ""
	}
	parts := make([]string, 0, len(all))
	for _, u := range all {
		parts = append(parts, fmt.Sprintf("%d of %q", u.spans, clean(u.scope)))
	}
	return "spans that look like generative AI but do not say what they are became no executions: " + strings.Join(parts, ", ")
}
