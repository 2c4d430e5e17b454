package gateway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/execution"
)

// httpAgent is a custom service that receives the prompt as JSON and responds with JSON, text or events.
type httpAgent struct {
	url    string
	header http.Header // with secrets
}

func (k *httpAgent) check(map[string]json.RawMessage) error { return nil }

func (k *httpAgent) secrets() (secrets []string) {
	for _, values := range k.header {
		secrets = append(secrets, values...)
		for _, value := range values {
			if _, token, ok := strings.Cut(value, " "); ok { // Bearer, Basic
				secrets = append(secrets, token)
			}
		}
	}
	return secrets
}

// httpPrompt is the request body.
type httpPrompt struct {
	Type      string          `json:"type"`
	UserID    string          `json:"user_id"`
	SessionID string          `json:"session_id,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Message   string          `json:"message"`
	Options   json.RawMessage `json:"options,omitempty"`
}

func (k *httpAgent) run(c *call) (answer, error) {
	p := c.prompt
	header := k.header.Clone()
	header.Set("Accept", eventStream+", "+jsonType+", "+plainText)
	if c.traceparent != "" {
		header.Set("Traceparent", c.traceparent)
	}
	got, err := c.post(k.url, encode(httpPrompt{p.Type, p.UserID, p.SessionID, p.RequestID, p.Message, p.Options}), header, k.secrets())
	if err != nil {
		return answer{}, err
	}
	kind, err := mediaType(got, k.secrets(), eventStream, jsonType, plainText)
	if err != nil {
		return answer{}, err
	}
	switch kind {
	case jsonType:
		return k.whole(c)
	case plainText:
		return answer{}, k.plain(c)
	default:
		return k.streamed(c)
	}
}

// report holds the members of a response, or an event of one, other than its text.
type report struct {
	Type     string          `json:"type"`
	Model    string          `json:"model"`
	Provider string          `json:"provider"`
	Finish   string          `json:"finish_reason"`
	Tokens   json.RawMessage `json:"tokens"`
	Usage    json.RawMessage `json:"usage"`
	// Wrappers in events of providers: Anthropic's message_start, OpenAI's response.completed.
	Message  json.RawMessage `json:"message"`
	Response json.RawMessage `json:"response"`
	// Gemini has other names.
	UsageMetadata json.RawMessage `json:"usageMetadata"`
	ModelVersion  string          `json:"modelVersion"`
	Candidates    json.RawMessage `json:"candidates"`
	Error         json.RawMessage `json:"error"`
	Text          json.RawMessage `json:"text"`
	Delta         json.RawMessage `json:"delta"`
	Content       json.RawMessage `json:"content"`
	Output        json.RawMessage `json:"output"`
}

// note records what an upstream reports and returns whether that includes the output's token count.
func (a *answer) note(r report) (written bool) {
	a.model = cmp.Or(r.Model, r.ModelVersion, a.model)
	if r.Provider != "" {
		a.provider = r.Provider
	}
	if r.Finish != "" {
		a.finish = asName(r.Finish, 100)
	}
	if finish := r.candidate().Finish; finish != "" {
		a.finish = asName(finish, 100)
	}
	written = a.used.add(r.Usage)
	written = a.used.add(r.UsageMetadata) || written
	if len(r.Tokens) > 0 && string(r.Tokens) != "null" {
		a.used.own, written = r.Tokens, true
	}
	for _, around := range []json.RawMessage{r.Message, r.Response} {
		var inner struct {
			Model string          `json:"model"`
			Usage json.RawMessage `json:"usage"`
		}
		if len(around) > 0 && around[0] == '{' && json.Unmarshal(around, &inner) == nil {
			a.model = cmp.Or(inner.Model, a.model)
			written = a.used.add(inner.Usage) || written
		}
	}
	return written
}

// ends reports whether the event follows all output.
func (r report) ends() bool {
	return r.Finish != "" || r.candidate().Finish != "" || r.Type == "message_delta" || len(r.Response) > 0 || len(r.Error) > 0 && string(r.Error) != "null"
}

// reports reports whether the event has members other than text.
func (r report) reports() bool {
	return len(r.Usage) > 0 || len(r.Tokens) > 0 || len(r.Message) > 0 && r.Message[0] == '{' || r.Model != "" || r.Finish != "" ||
		len(r.UsageMetadata) > 0 || len(r.Candidates) > 0
}

// candidate is a response in Gemini's API.
type candidate struct {
	Content struct {
		Parts []struct {
			Text    string `json:"text"`
			Thought bool   `json:"thought"`
		} `json:"parts"`
	} `json:"content"`
	Finish string `json:"finishReason"`
}

// candidate returns the first candidate, or an empty one.
func (r report) candidate() candidate {
	var all []candidate
	if len(r.Candidates) == 0 || json.Unmarshal(r.Candidates, &all) != nil || len(all) == 0 {
		return candidate{}
	}
	return all[0]
}

// text returns the event's part of the output; ok is false if it has none in a known form.
func (r report) text() (text string, ok bool) {
	for _, raw := range []json.RawMessage{r.Text, r.Delta, r.Content} {
		if json.Unmarshal(raw, &text) == nil && string(raw) != "null" {
			return text, true
		}
	}
	var delta struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if r.ofProvider() && json.Unmarshal(r.Delta, &delta) == nil && delta.Type == "text_delta" {
		return delta.Text, true
	}
	for _, part := range r.candidate().Content.Parts {
		if !part.Thought {
			text += part.Text
		}
	}
	return text, text != ""
}

// ofProvider reports whether the event is a provider's, passed on unchanged. Such events without text are not relayed.
func (r report) ofProvider() bool {
	return r.Type == "ping" || strings.HasPrefix(r.Type, "message_") || strings.HasPrefix(r.Type, "content_block_") || strings.HasPrefix(r.Type, "response.")
}

// whole reads a JSON response. It is relayed unchanged.
func (k *httpAgent) whole(c *call) (a answer, err error) {
	body, err := c.readAll()
	if err != nil {
		return a, err
	}
	if a.output, err = k.compact(body); err != nil {
		return a, err
	}
	var r report
	if json.Unmarshal(a.output, &r) == nil {
		a.used.passed(a.note(r), false, true)
	}
	return a, nil
}

// compact returns the JSON without whitespace. Duplicate names and invalid UTF-8 do not invalidate a response: the last
// duplicate counts, and characters are replaced as in all recorded text.
func (k *httpAgent) compact(raw []byte) (json.RawMessage, error) {
	value := jsontext.Value(slices.Clone(raw))
	if value.Compact(jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false)) == nil {
		return json.RawMessage(value), nil
	}
	value = slices.Clone(raw)
	if err := value.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, malformed("the upstream's response is not JSON: %s", excerpt(err.Error(), k.secrets()))
	}
	var clean any
	d := json.NewDecoder(bytes.NewReader(execution.Sanitize(raw)))
	d.UseNumber()
	if err := d.Decode(&clean); err != nil {
		return nil, malformed("the upstream's response cannot be forwarded: %s", excerpt(err.Error(), k.secrets()))
	}
	return encode(clean), nil
}

// plain relays a text response as it arrives. An incomplete rune is held back until the rest arrives.
func (k *httpAgent) plain(c *call) error {
	buffer := make([]byte, 8<<10)
	begun := 0 // bytes of an incomplete rune at the buffer's start
	for {
		n, err := c.Read(buffer[begun:])
		n += begun
		whole := n
		if err == nil {
			whole = wholeRunes(buffer[:n])
		}
		if sayErr := c.say(string(buffer[:whole])); sayErr != nil {
			return sayErr
		}
		begun = copy(buffer, buffer[whole:n])
		switch {
		case errors.Is(err, io.EOF) && c.output.Len() == 0:
			return errNothing
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// wholeRunes returns the length of b without an incomplete rune at its end.
func wholeRunes(b []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if start := len(b) - i; utf8.RuneStart(b[start]) {
			if !utf8.FullRune(b[start:]) {
				return start
			}
			break
		}
	}
	return len(b)
}

// streamed relays events. The stream ends at EOF or with an event that ends it.
func (k *httpAgent) streamed(c *call) (a answer, err error) {
	events := newEventReader(c)
	came := false
	for {
		event, err := events.next()
		switch {
		case errors.Is(err, io.EOF) && !came:
			return a, errNothing
		case errors.Is(err, io.EOF):
			return a, nil
		case err != nil:
			return a, err
		case event.data == doneMessage:
			return a, nil
		}
		came = true
		done, err := k.take(c, &a, event)
		if err != nil || done {
			return a, err
		}
	}
}

// take relays an event. It returns done for the last one.
func (k *httpAgent) take(c *call, a *answer, event serverEvent) (done bool, err error) {
	done = event.name == "done" || event.name == "completed"
	var r report
	isObject := len(event.data) > 0 && event.data[0] == '{' && json.Unmarshal([]byte(event.data), &r) == nil
	written, finish := isObject && a.note(r), c.output.Len()
	defer func() {
		a.used.passed(written, c.output.Len() > finish, r.ends() || event.name == "error")
		a.used.opening = a.used.opening || written && r.Type == "message_start"
	}()
	text, hasText := r.text()
	switch {
	case event.name == "error" || isObject && !hasText && len(r.Error) > 0 && string(r.Error) != "null":
		return true, failed("upstream_error", "the upstream failed: %s", excerpt(errorText([]byte(event.data)), k.secrets()))
	case event.name == "started":
		return false, nil
	case done && c.output.Len() > 0:
		return true, nil // the text that it repeats was relayed
	case done:
		if !hasText && len(r.Output) > 0 && json.Unmarshal(r.Output, &text) != nil {
			a.output, err = k.compact(r.Output)
			return true, err
		}
		return true, c.say(text)
	case hasText:
		return false, c.say(text)
	case isObject && (r.reports() || r.ofProvider()):
		return false, nil // usage only
	default:
		return false, c.say(event.data)
	}
}
