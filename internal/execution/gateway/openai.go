package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	maxStops    = 4
	maxStop     = 200 // bytes
	doneMessage = "[DONE]"
)

// openAI is an agent behind a server with OpenAI's chat completions API (POST /chat/completions).
type openAI struct {
	url         string
	key         string // optional
	model       string
	system      string
	temperature *float64
	limit       int64 // output tokens; 0: as the server likes
	maxField    string
	extra       map[string]any // further members of the request
}

// openAIOptions are the prompt options passed to the model. Other options become part of the prompt.
var openAIOptions = map[string]func(raw json.RawMessage) (value any, problem string){
	"temperature": number(0, 2),
	"top_p":       number(0, 1),
	"max_tokens":  wholeNumber(1, execution.MaxTokens),
	"seed":        wholeNumber(math.MinInt64, math.MaxInt64),
	"stop":        stops,
}

func number(minimum, limit float64) func(json.RawMessage) (any, string) {
	return func(raw json.RawMessage) (any, string) {
		var f *float64
		if json.Unmarshal(raw, &f) != nil || f == nil || !(*f >= minimum && *f <= limit) {
			return nil, "must be a number from " + jsonText(minimum) + " to " + jsonText(limit)
		}
		return *f, ""
	}
}

func wholeNumber(minimum, limit int64) func(json.RawMessage) (any, string) {
	return func(raw json.RawMessage) (any, string) {
		var n *int64
		if json.Unmarshal(raw, &n) != nil || n == nil || *n < minimum || *n > limit {
			return nil, "must be a whole number from " + jsonText(minimum) + " to " + jsonText(limit)
		}
		return *n, ""
	}
}

func stops(raw json.RawMessage) (any, string) {
	var one string
	all := []string{}
	if json.Unmarshal(raw, &one) == nil {
		all = append(all, one)
	} else if json.Unmarshal(raw, &all) != nil {
		all = nil
	}
	if len(all) == 0 || len(all) > maxStops {
		return nil, "must be a string, or up to 4 of them"
	}
	for _, s := range all {
		if s == "" || len(s) > maxStop {
			return nil, "must be of 1 to 200 bytes each"
		}
	}
	return all, ""
}

func jsonText(v any) string { return string(encode(v)) }

func (k *openAI) check(options map[string]json.RawMessage) error {
	_, _, err := splitOptions(options)
	return err
}

// splitOptions separates the model's options from those that become part of the prompt.
func splitOptions(options map[string]json.RawMessage) (known map[string]any, rest map[string]json.RawMessage, err error) {
	known, rest = map[string]any{}, map[string]json.RawMessage{}
	for _, key := range slices.Sorted(maps.Keys(options)) {
		raw := options[key]
		read := openAIOptions[key]
		if read == nil {
			rest[key] = raw
			continue
		}
		value, problem := read(raw)
		if problem != "" {
			return nil, nil, badOption(key, problem)
		}
		known[key] = value
	}
	return known, rest, nil
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// request returns the request body.
func (k *openAI) request(c *call) ([]byte, error) {
	known, rest, err := splitOptions(c.options)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"stream_options": map[string]any{"include_usage": true}}
	maps.Copy(body, k.extra)
	if body["stream_options"] == nil {
		delete(body, "stream_options") // a file sets it to null for servers that do not support it
	}
	if k.temperature != nil {
		body["temperature"] = *k.temperature
	}
	if k.limit > 0 {
		body[k.maxField] = k.limit
	}
	for key, value := range known {
		if key != "max_tokens" {
			body[key] = value
			continue
		}
		wanted := value.(int64)
		if k.limit > 0 {
			wanted = min(wanted, k.limit)
		}
		body[k.maxField] = wanted
	}
	question := c.prompt.Message
	if len(rest) > 0 {
		question += "\n\n" + jsonText(rest)
	}
	messages := []chatMessage{{"user", question}}
	if k.system != "" {
		messages = []chatMessage{{"system", k.system}, {"user", question}}
	}
	body["model"], body["messages"], body["stream"] = k.model, messages, true
	return encode(body), nil
}

func (k *openAI) run(c *call) (answer, error) {
	body, err := k.request(c)
	if err != nil {
		return answer{}, err
	}
	header := http.Header{"Accept": {eventStream + ", " + jsonType}}
	if k.key != "" {
		header.Set("Authorization", "Bearer "+k.key)
	}
	got, err := c.post(k.url, body, header, k.secrets())
	if err != nil {
		return answer{}, err
	}
	kind, err := mediaType(got, k.secrets(), eventStream, jsonType)
	if err != nil {
		return answer{}, err
	}
	if kind == jsonType {
		return k.whole(c)
	}
	return k.streamed(c)
}

func (k *openAI) secrets() []string {
	if k.key == "" {
		return nil
	}
	return []string{k.key}
}

// completion is a chat completion, or a chunk of one.
type completion struct {
	Model   string `json:"model"`
	Choices []struct {
		Delta   delta  `json:"delta"`
		Message delta  `json:"message"`
		Finish  string `json:"finish_reason"`
	} `json:"choices"`
	Usage       json.RawMessage `json:"usage"`
	ServiceTier any             `json:"service_tier"` // a string, though some servers send other types
	Error       json.RawMessage `json:"error"`
}

type delta struct {
	Content content `json:"content"`
	Refusal string  `json:"refusal"`
}

// content is a string, or a list of parts of which some are text.
type content string

func (t *content) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return json.Unmarshal(b, (*string)(t))
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	for _, part := range parts {
		*t += content(part.Text)
	}
	return nil
}

// take records a chunk's members and returns its text.
func (a *answer) take(chunk completion, secrets []string) (text string, err error) {
	written := a.used.add(chunk.Usage) // errors have usage too
	defer func() { a.used.passed(written, text != "", err != nil || a.finish != "") }()
	if tier, ok := chunk.ServiceTier.(string); ok {
		a.used.events.Service(tier)
	}
	if len(chunk.Error) > 0 && string(chunk.Error) != "null" {
		return "", failed("upstream_error", "the upstream failed: %s", excerpt(errorText(encode(map[string]any{"error": chunk.Error})), secrets))
	}
	if chunk.Model != "" {
		a.model = chunk.Model
	}
	if len(chunk.Choices) == 0 {
		return "", nil
	}
	choice := chunk.Choices[0]
	if choice.Finish != "" {
		a.finish = asName(choice.Finish, execution.MaxName)
	}
	for _, part := range []delta{choice.Delta, choice.Message} {
		text += string(part.Content) + part.Refusal
	}
	return text, nil
}

// whole reads the response of a server that does not stream.
func (k *openAI) whole(c *call) (a answer, err error) {
	body, err := c.readAll()
	if err != nil {
		return a, err
	}
	var chunk completion
	if err := json.Unmarshal(body, &chunk); err != nil {
		return a, malformed("the upstream's response is not a chat completion: %s", excerpt(err.Error(), k.secrets()))
	}
	text, err := a.take(chunk, k.secrets())
	if err != nil {
		return a, err
	}
	if len(chunk.Choices) == 0 {
		return a, malformed("the upstream's response is not a chat completion: it has no choices")
	}
	return a, c.say(text)
}

// streamed forwards the output chunk by chunk. It is complete with [DONE] or a finish reason.
func (k *openAI) streamed(c *call) (a answer, err error) {
	events := newEventReader(c)
	for {
		event, err := events.next()
		if a.finish != "" && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		if event.data == doneMessage {
			return a, nil
		}
		var chunk completion
		if err := json.Unmarshal([]byte(event.data), &chunk); err != nil {
			return a, malformed("the upstream's stream has an event that is not a chunk of a chat completion: %s", excerpt(err.Error(), k.secrets()))
		}
		text, err := a.take(chunk, k.secrets())
		if err != nil {
			return a, err
		}
		if event.name == "error" {
			return a, failed("upstream_error", "the upstream failed: %s", excerpt(errorText([]byte(event.data)), k.secrets()))
		}
		if err := c.say(text); err != nil {
			return a, err
		}
	}
}

// completionsURL returns the chat completions URL under a base URL.
func completionsURL(base *url.URL) string {
	return base.JoinPath("chat", "completions").String()
}

// isOpenAIs reports whether the server is OpenAI's or Azure's, which have another name for the output limit.
func isOpenAIs(base *url.URL) bool {
	host := strings.ToLower(base.Hostname())
	return host == "api.openai.com" || strings.HasSuffix(host, ".openai.azure.com")
}
