package mock

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	maxBody   = 8 << 20
	holdsOpen = 30 * time.Second // of a call that must time out, unless its client disconnects first
)

// Server responds to the calls of one scenario after the other. Base addresses are /openai/v1, /anthropic, /gemini,
// /bedrock, /cohere and /ollama. In scenarios whose names begin with "http429" it rejects every call, with "retry" the
// first one, and with "timeout" it never responds.
type Server struct {
	mu       sync.Mutex
	scenario string
	expected Expected
	calls    int // in this scenario; gives ids and tells the steps of a tool loop apart
	total    int
	mux      *http.ServeMux
}

// New returns a server without a scenario.
func New() *Server {
	s := &Server{mux: http.NewServeMux()}
	s.mux.HandleFunc("POST /openai/v1/chat/completions", s.call(chatCompletion))
	s.mux.HandleFunc("POST /openai/openai/v1/chat/completions", s.call(chatCompletion)) // for Groq
	s.mux.HandleFunc("POST /openai/v1/responses", s.call(response))
	s.mux.HandleFunc("POST /openai/v1/embeddings", s.call(embedding))
	s.mux.HandleFunc("POST /anthropic/v1/messages", s.call(message))
	s.mux.HandleFunc("POST /anthropic/v1/messages/count_tokens", s.countTokens)
	s.mux.HandleFunc("POST /gemini/{version}/models/{call}", s.call(generateContent))
	s.mux.HandleFunc("POST /bedrock/model/{model}/converse", s.call(converse))
	s.mux.HandleFunc("POST /bedrock/model/{model}/converse-stream", s.call(converseStream))
	s.mux.HandleFunc("POST /bedrock/model/{model}/invoke", s.call(invoke))
	s.mux.HandleFunc("POST /bedrock/model/{model}/invoke-with-response-stream", s.call(invokeStream))
	s.mux.HandleFunc("POST /cohere/v2/chat", s.call(cohereChat))
	s.mux.HandleFunc("POST /cohere/v2/embed", s.call(cohereEmbed))
	s.mux.HandleFunc("POST /cohere/v2/rerank", s.call(cohereRerank))
	s.mux.HandleFunc("POST /ollama/api/chat", s.call(ollamaChat))
	s.mux.HandleFunc("POST /ollama/api/generate", s.call(ollamaGenerate))
	s.mux.HandleFunc("POST /ollama/api/embed", s.call(ollamaEmbed))
	return s
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Begin starts a scenario with an empty Truth.
func (s *Server) Begin(scenario string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scenario, s.expected, s.calls = scenario, Expected{}, 0
}

// Expected returns what has happened in the scenario.
func (s *Server) Expected() Expected {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expected
}

// call is a request of a client.
type call struct {
	request map[string]any
	raw     string
	r       *http.Request
	id      string
	step    int // 1 for the scenario's first call
	loop    bool
}

func (c *call) text(name string) string { t, _ := c.request[name].(string); return t }
func (c *call) streams() bool           { b, _ := c.request["stream"].(bool); return b }

// reply is a provider's response: a body, or the events of a stream.
type reply struct {
	model  string
	used   Tokens
	body   any
	events []event
	format format // of the events
	header http.Header
}

type format int

const (
	serverSent format = iota
	jsonLines
	awsFrames
)

var mediaTypes = map[format]string{serverSent: "text/event-stream", jsonLines: "application/x-ndjson", awsFrames: "application/vnd.amazon.eventstream"}

type event struct {
	name string
	data any // a string is written unchanged
}

func (s *Server) call(answer func(*call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		c := &call{raw: string(raw), r: r}
		if err == nil {
			err = json.Unmarshal(raw, &c.request)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.calls++
		s.total++
		scenario := s.scenario
		if s.calls > 1 || !strings.HasPrefix(scenario, "retry") { // the client repeats it, which is one call to the caller
			s.expected.Inferences++
		}
		c.step, c.id = s.calls, fmt.Sprintf("%08d", s.total)
		s.mu.Unlock()
		c.loop = strings.HasPrefix(scenario, "agent") || strings.HasPrefix(scenario, "tool")
		switch {
		case strings.HasPrefix(scenario, "http429"), strings.HasPrefix(scenario, "retry") && c.step == 1:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"type":"error","error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"Rate limit reached"}}`)
			return
		case strings.HasPrefix(scenario, "timeout"):
			select {
			case <-r.Context().Done():
			case <-time.After(holdsOpen):
			}
			return
		}
		given := answer(c)
		s.mu.Lock()
		s.expected.answered(given.model, given.used)
		s.mu.Unlock()
		write(w, c, given)
	}
}

func (s *Server) countTokens(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"input_tokens":14}`)
}

func write(w http.ResponseWriter, c *call, given reply) {
	w.Header().Set("X-Request-Id", "req_"+c.id)
	w.Header().Set("Request-Id", "req_"+c.id)
	maps.Copy(w.Header(), given.header)
	if given.events == nil {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(given.body)
		return
	}
	w.Header().Set("Content-Type", mediaTypes[given.format])
	flusher, _ := w.(http.Flusher)
	for _, e := range given.events {
		data, isText := e.data.(string)
		if !isText {
			encoded, err := json.Marshal(e.data)
			if err != nil {
				panic(err) // what this package makes can be encoded
			}
			data = string(encoded)
		}
		switch given.format {
		case jsonLines:
			_, _ = fmt.Fprintln(w, data)
		case awsFrames:
			_, _ = w.Write(awsFrame(e.name, []byte(data)))
		default:
			if e.name != "" {
				_, _ = fmt.Fprintf(w, "event: %s\n", e.name)
			}
			_, _ = fmt.Fprintf(w, "data: %s\n\n", data)
		}
		flusher.Flush()
	}
}
