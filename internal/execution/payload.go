package execution

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/redact"
)

// The bounds of a policy.
const (
	DefaultPayload = 64 << 10 // bytes of each of input and output that are kept
	MinPayload     = 256      // bytes that can be asked for at the least: a truncated payload still has a head
)

// PayloadPolicy says what is kept of what executions took in and gave out.
type PayloadPolicy struct {
	Max    int  // bytes of each of input and output; 0: DefaultPayload
	Refuse bool // what is larger, instead of keeping its head
	Redact redact.Rules
}

// Apply makes an execution's payloads and error message such that they can be stored, masks them, and then bounds them.
// Applied again it changes nothing. Only a policy that refuses large payloads has faults, and a fault leaves the execution
// as it was.
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

func (p PayloadPolicy) most() int {
	if p.Max == 0 {
		return DefaultPayload
	}
	return max(p.Max, MinPayload)
}

func (p PayloadPolicy) apply(field string, raw json.RawMessage) (json.RawMessage, *Fault) {
	masked := p.Redact.JSON(Sanitize(raw))
	switch {
	case len(masked) <= p.most():
		return masked, nil
	case p.Refuse:
		return nil, faulty("payload_too_large", field, "must be at most %d bytes", p.most())
	default:
		return p.truncate(masked, len(raw)), nil
	}
}

// truncate makes an object that says that there was more, how much, and how it began.
func (p PayloadPolicy) truncate(payload json.RawMessage, bytes int) json.RawMessage {
	const slack = 32 // for members that are masked: even "truncated" can be
	object := func(head string) []byte {
		o := strconv.AppendInt([]byte(redact.TruncatedMark+`true,"bytes":`), int64(bytes), 10)
		o = append(o, `,"head":`...)
		o, _ = jsontext.AppendQuote(o, head) // it is valid UTF-8
		return append(o, '}')
	}
	room := p.most() - len(object("")) - slack
	head := p.Redact.Shorten(string(payload[:min(len(payload), room)]), func(s string) string { return quotedPrefix(s, room) })
	return p.Redact.JSON(object(head))
}

// quotedPrefix is the longest beginning of a text that takes no more bytes than those as a JSON string, without its
// quotation marks. A rune that is cut is left out.
func quotedPrefix(s string, most int) string {
	size := 0
	for i := 0; i < len(s); {
		char, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case char == utf8.RuneError && width == 1:
			return s[:i] // the text is valid but where it was cut
		case char == '"' || char == '\\' || char == '\b' || char == '\f' || char == '\n' || char == '\r' || char == '\t':
			size += 2
		case char < ' ':
			size += len(`\u0000`)
		default:
			size += width
		}
		if size > most {
			return s[:i]
		}
		i += width
	}
	return s
}

// errorMessage masks an error message, and cuts it to what may be stored; then it says so at its end.
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
	if said := head + mark; p.Redact.Text(said) == said {
		return said
	}
	return head
}
