package otlp

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// processOf returns a short digest of a resource. It identifies the process.
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

// executionRole returns the span's role as an execution.Role.
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

// answers are the attributes that contain a provider's response as JSON.
var answers = []string{"output.value", "langfuse.observation.output", "mlflow.spanOutputs", "response", "response_data", "haystack.component.output", "haystack.agent.step.llm.output"}

// responseIDs are the prefixes of providers' response ids. Those of whole responses precede those of their parts.
var responseIDs = []string{"resp_", "chatcmpl-", "msg_", "cmpl-", "gen-"}

// maxAnswer is how many bytes of a response are searched for its id.
const maxAnswer = 16 << 10

// responseID returns the provider's response id of a model call.
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

// idIn returns the value of a JSON member "id" that looks like a provider's response id.
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

// unread is the number of an instrumentation's spans that look like generative AI but were not understood.
type unread struct {
	scope string
	spans int
}

// maxUnread is the maximum number of instrumentations that a response lists separately.
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

// warning describes the spans that were not understood.
func warning(all []unread) string {
	if len(all) == 0 {
		return ""
	}
	parts := make([]string, 0, len(all))
	for _, u := range all {
		parts = append(parts, fmt.Sprintf("%d of %q", u.spans, clean(u.scope)))
	}
	return "spans that look like generative AI but do not say what they are were not stored as executions: " + strings.Join(parts, ", ")
}
