package usage

import (
	"encoding/json"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxAnswer is the maximum size in bytes of a response that is searched for usage.
const maxAnswer = 256 << 10

// written are the members of responses that contain what a model wrote or was sent. Usage in them is ignored.
var written = map[string]bool{
	"content": true, "_content": true, "contents": true, "text": true, "parts": true, "messages": true, "input": true, "inputs": true,
	"prompt": true, "args": true, "arguments": true, "parameters": true, "tool_calls": true, "toolcalls": true, "invalid_tool_calls": true,
	"function_call": true, "functioncall": true, "parsed": true, "output_parsed": true, "structured_output": true, "object": true,
	"json": true, "json_dict": true, "data": true, "embedding": true, "embeddings": true, "reasoning": true, "thinking": true,
	"metadata": true,
}

// gateway is the name of Vercel's gateway in the AI SDK's provider metadata.
const gateway = "gateway"

func isWritten(name string) bool { return written[name] || written[strings.ToLower(name)] }

// holdsUsage reports whether a member of this name contains usage. A response may have other members with the word in
// their name, such as an estimate.
func (o *object) holdsUsage(name string) bool {
	if name == gateway && !o.answer { // it contains the gateway's charge
		return true
	}
	if !strings.Contains(name, "sage") && !strings.Contains(strings.ToLower(name), "usage") {
		return false
	}
	if !o.answer {
		return true
	}
	segments := split(name)
	if len(segments) != 1 {
		return false
	}
	marks, known := meaning(segments[0]...)
	return known && marks&markUsage != 0 && marks&(markEstimated|markIgnored|markCost) == 0
}

// searchText searches a JSON string for usage if it is an object in Python's notation, such as ChatCompletion(usage=…).
func (o *object) searchText(quoted string) {
	if len(quoted) < 2 || !isUpper(quoted[1]) || !strings.Contains(quoted, "usage") {
		return
	}
	var text string
	if json.Unmarshal([]byte(quoted), &text) != nil || !looksLikeObject(text) {
		return
	}
	found := statement{}
	inner := object{text: text, into: &found, path: make([]byte, 0, maxPath), searching: true, answer: true}
	if inner.value(0) && inner.ends() {
		o.into.join(&found)
	}
}

// opaque skips a value that Python writes in angle brackets, having no other notation for it: <ChatRole.USER: 'user'>.
func (o *object) opaque() bool {
	for o.at < len(o.text) {
		switch b := o.text[o.at]; b {
		case '"', '\'':
			text, ok := o.quoted()
			if !ok {
				return false
			}
			if !o.searching {
				o.into.memberText(o.path, text, o.costs)
			}
		case '>':
			o.at++
			return true
		default:
			o.at++
		}
	}
	return false
}

// Answer reads a provider's response, in JSON or in Python's notation, which may contain usage. It adds counts that the
// attributes lack, and never contradicts them.
func (r *Report) Answer(text string) {
	if len(text) > maxAnswer || !strings.Contains(text, "sage") || !r.incomplete() {
		return
	}
	if !looksLikeObject(text) && !strings.HasPrefix(text, "[") {
		return
	}
	found := statement{}
	// A text in the response is untrusted. It only adds to counts that are already known.
	o := object{text: text, into: &found, path: make([]byte, 0, maxPath), searching: true, answer: true, nested: r.counted()}
	o.blanks()
	if !o.value(0) || !o.ends() {
		return
	}
	if result := found.settle(r.Source, true); result.Counted() {
		r.answer = &result
	}
}

func (r *Report) counted() bool {
	return r.flat.n[input] > 0 || r.flat.n[output] > 0 || r.flat.n[total] > 0 || r.objects != nil && r.objects.Counted()
}

// incomplete reports whether the attributes lack a count that a response may have.
func (r *Report) incomplete() bool {
	cached, thought := r.flat.has(cacheRead), r.flat.has(reasoning)
	if r.objects != nil {
		cached, thought = cached || r.objects.Tokens.CacheRead > 0, thought || r.objects.Tokens.Reasoning > 0
	}
	return !cached || !thought || !r.counted()
}

// explains reports whether t has the same counts as other, except for parts that other leaves out.
func (t *Result) explains(other *execution.Tokens) bool {
	a := &t.Tokens
	if !other.Distinguish() {
		return other.Used == a.Used
	}
	in, out := a.Input-other.Input, a.Output-other.Output
	return (in == 0 || in == a.CacheRead+a.CacheWrite) && (out == 0 || out == a.Reasoning)
}

// iteration reads the usage of one of several steps of a call. Anthropic's counts leave out the steps that compact a
// conversation, which are added. Steps of an advisor are of another model and are not.
func (o *object) iteration() bool {
	from := o.at
	if !o.skip() {
		return false
	}
	var found statement
	step := object{text: o.text[from:o.at], into: &found, path: make([]byte, 0, maxPath), step: true}
	if !step.value(0) || !step.ends() {
		return false
	}
	if result := found.settle(Source{}, true); found.label != "message" && found.label != "" && !found.model && !result.Absurd {
		o.into.more.Add(result.Tokens)
	}
	return true
}
