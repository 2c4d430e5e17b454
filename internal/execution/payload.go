package execution

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/redact"
)

// Limits of a policy.
const (
	DefaultPayload = 64 << 10 // bytes kept of input and of output
	MinPayload     = 256      // minimum of the setting, so that a truncated payload has a beginning
)

// PayloadPolicy limits what is stored of executions' inputs and outputs.
type PayloadPolicy struct {
	Max    int  // bytes of each of input and output; 0: DefaultPayload
	Refuse bool // reject larger ones instead of truncating them
	Redact redact.Rules
}

// Apply makes an execution's payloads and error message storable, masks them, and then truncates them. It is idempotent.
// It returns a fault only if the policy rejects large payloads, and then leaves the execution unchanged.
func (p PayloadPolicy) Apply(e *Execution) *Fault {
	input, fault := p.apply("input_data", e.Input)
	if fault != nil {
		return fault
	}
	output, fault := p.apply("output_data", e.Output)
	if fault != nil {
		return fault
	}
	e.Input, e.Output = input, output
	e.ErrorMessage = p.errorMessage(e.ErrorMessage)
	return nil
}

func (p PayloadPolicy) limit() int {
	if p.Max == 0 {
		return DefaultPayload
	}
	return max(p.Max, MinPayload)
}

func (p PayloadPolicy) apply(field string, raw json.RawMessage) (json.RawMessage, *Fault) {
	masked := p.Redact.JSON(Sanitize(raw))
	switch {
	case len(masked) <= p.limit():
		return masked, nil
	case p.Refuse:
		return nil, faulty("payload_too_large", field, "must be at most %d bytes", p.limit())
	default:
		return p.truncate(masked, len(raw)), nil
	}
}

// truncate returns an object with the size and the beginning of a payload.
func (p PayloadPolicy) truncate(payload json.RawMessage, bytes int) json.RawMessage {
	const slack = 32 // for masks: even "truncated" may be masked
	object := func(head string) []byte {
		o := strconv.AppendInt([]byte(redact.TruncatedMark+`true,"bytes":`), int64(bytes), 10)
		o = append(o, `,"head":`...)
		o, _ = jsontext.AppendQuote(o, head) // it is valid UTF-8
		return append(o, '}')
	}
	room := p.limit() - len(object("")) - slack
	head := p.Redact.Shorten(string(payload[:min(len(payload), room)]), func(s string) string { return quotedPrefix(s, room) })
	return p.Redact.JSON(object(head))
}

// quotedPrefix returns the longest prefix of s that takes at most limit bytes as a JSON string, without its quotation marks.
// It cuts no rune.
func quotedPrefix(s string, limit int) string {
	size := 0
	for i := 0; i < len(s); {
		char, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case char == utf8.RuneError && width == 1:
			return s[:i] // only a cut rune is invalid
		case char == '"' || char == '\\' || char == '\b' || char == '\f' || char == '\n' || char == '\r' || char == '\t':
			size += 2
		case char < ' ':
			size += len(`\u0000`)
		default:
			size += width
		}
		if size > limit {
			return s[:i]
		}
		i += width
	}
	return s
}

// errorMessage masks an error message and cuts it to the maximum, with a mark at its end.
func (p PayloadPolicy) errorMessage(message string) string {
	masked := p.Redact.Text(SanitizeText(message))
	if len(masked) <= MaxErrorMessage {
		return masked
	}
	mark := fmt.Sprintf(" … (cut; it had %d bytes)", len(message))
	head := p.Redact.Shorten(masked, func(s string) string {
		end := min(len(s), MaxErrorMessage-len(mark))
		for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
			end--
		}
		return s[:end]
	})
	if cut := head + mark; p.Redact.Text(cut) == cut {
		return cut
	}
	return head
}
