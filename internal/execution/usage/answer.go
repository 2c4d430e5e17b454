package usage

import (
	"encoding/json"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxAnswer is how many bytes an answer may have in which usage is looked for.
const maxAnswer = 256 << 10

// written are the members of answers that hold what a model wrote, or what it was told. Usage in them is none.
var written = map[string]bool{
	"content": true, "_content": true, "contents": true, "text": true, "parts": true, "messages": true, "input": true, "inputs": true,
	"prompt": true, "args": true, "arguments": true, "parameters": true, "tool_calls": true, "toolcalls": true, "invalid_tool_calls": true,
	"function_call": true, "functioncall": true, "parsed": true, "output_parsed": true, "structured_output": true, "object": true,
	"json": true, "json_dict": true, "data": true, "embedding": true, "embeddings": true, "reasoning": true, "thinking": true,
	"metadata": true,
}

// gateway is what the AI SDK calls Vercel's gateway in a provider's metadata.
const gateway = "gateway"

func isWritten(name string) bool { return written[name] || written[strings.ToLower(name)] }

// holdsUsage reports whether a member of this name holds usage. An answer may have others with the word, such as an estimate.
func (o *object) holdsUsage(name string) bool {
	if name == gateway && !o.answer { // which says there what it charges
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

// searchText looks for usage in a text in JSON that is an object in Python's notation, such as ChatCompletion(usage=…).
func (o *object) searchText(quoted string) {
	if len(quoted) < 2 || !isUpper(quoted[1]) || !strings.Contains(quoted, "usage") {
		return
	}
	var text string
	if json.Unmarshal([]byte(quoted), &text) != nil || !looksLikeObject(text) {
		return
	}
	said := statement{}
	inner := object{text: text, into: &said, path: make([]byte, 0, maxPath), searching: true, answer: true}
	if inner.value(0) && inner.ends() {
		o.into.join(&said)
	}
}

// opaque skips what Python writes of a value that has no other notation: <ChatRole.USER: 'user'>.
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

// Answer takes an answer of the provider's, in JSON or in Python's notation, which may say what the call used. It adds what the
// attributes leave out, and never says other than they do.
func (r *Report) Answer(text string) {
	if len(text) > maxAnswer || !strings.Contains(text, "sage") || !r.incomplete() {
		return
	}
	if !looksLikeObject(text) && !strings.HasPrefix(text, "[") {
		return
	}
	said := statement{}
	// A text in the answer could say anything. It only adds to counts that are told.
	o := object{text: text, into: &said, path: make([]byte, 0, maxPath), searching: true, answer: true, nested: r.counted()}
	o.blanks()
	if !o.value(0) || !o.ends() {
		return
	}
	if told := said.settle(r.Source, true); told.Counted() {
		r.answer = &told
	}
}

func (r *Report) counted() bool {
	return r.flat.n[input] > 0 || r.flat.n[output] > 0 || r.flat.n[total] > 0 || r.objects != nil && r.objects.Counted()
}

// incomplete reports whether the attributes leave out a count that an answer may have.
func (r *Report) incomplete() bool {
	cached, thought := r.flat.has(cacheRead), r.flat.has(reasoning)
	if r.objects != nil {
		cached, thought = cached || r.objects.Tokens.CacheRead > 0, thought || r.objects.Tokens.Reasoning > 0
	}
	return !cached || !thought || !r.counted()
}

// explains reports whether an account has the counts of another one, but for parts that the other one leaves out.
func (t *Told) explains(other *execution.Tokens) bool {
	a := &t.Tokens
	if !other.TellApart() {
		return other.Used == a.Used
	}
	in, out := a.Input-other.Input, a.Output-other.Output
	return (in == 0 || in == a.CacheRead+a.CacheWrite) && (out == 0 || out == a.Reasoning)
}

// iteration reads what one of several steps of a call used. Anthropic's counts leave out those that compact a conversation. An
// adviser's are of another model.
func (o *object) iteration() bool {
	from := o.at
	if !o.skip() {
		return false
	}
	var said statement
	step := object{text: o.text[from:o.at], into: &said, path: make([]byte, 0, maxPath), step: true}
	if !step.value(0) || !step.ends() {
		return false
	}
	if told := said.settle(Source{}, true); said.label != "message" && said.label != "" && !said.model && !told.Absurd {
		o.into.more.Add(told.Tokens)
	}
	return true
}
