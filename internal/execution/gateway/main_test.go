package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key must not be visible to anyone but the upstream.
const key = "sk-very-secret-0123456789"

func environment(name string) (string, bool) {
	switch name {
	case "TEST_KEY":
		return key, true
	case "TEST_AUTH":
		return "Bearer " + key, true
	case "BROKEN":
		return "a\nb", true
	}
	return "", false
}

func parse(t testing.TB, file string) *gateway.Agents {
	t.Helper()
	agents, err := gateway.ParseAgents([]byte(file), environment)
	if err != nil {
		t.Fatalf("agents: %v\n%s", err, file)
	}
	return agents
}

// recorder keeps records in memory.
type recorder struct {
	mu       sync.Mutex
	records  []execution.Execution
	reserved int
	prepare  func(execution.Execution) (execution.Execution, *execution.Fault)
	refuse   error // of reserving
	fail     error // of appending
}

func (r *recorder) Reserve() (gateway.Reservation, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		return nil, r.refuse
	}
	r.reserved++
	return &reservation{r: r}, nil
}

func (r *recorder) Prepare(e execution.Execution) (execution.Execution, *execution.Fault) {
	return r.prepare(e)
}

func (r *recorder) all() []execution.Execution {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]execution.Execution{}, r.records...)
}

type reservation struct {
	r     *recorder
	spent bool
}

func (v *reservation) Append(e execution.Execution) error {
	v.r.mu.Lock()
	defer v.r.mu.Unlock()
	if v.r.fail != nil {
		return v.r.fail
	}
	v.r.records = append(v.r.records, e)
	v.spend()
	return nil
}

func (v *reservation) Release() {
	v.r.mu.Lock()
	defer v.r.mu.Unlock()
	v.spend()
}

func (v *reservation) spend() {
	if !v.spent {
		v.spent = true
		v.r.reserved--
	}
}

// prepare returns the function by which the ledger prepares executions.
func prepare() func(execution.Execution) (execution.Execution, *execution.Fault) {
	l := ledger.New(ledger.Options{
		Prices: prices.Default, Payloads: execution.PayloadPolicy{Max: 64 << 10}, Keep: 24 * time.Hour, Now: time.Now,
	})
	return l.Prepare
}

// fixture is a gateway with its records.
type fixture struct {
	*gateway.Gateway
	*recorder
	t testing.TB
}

func newFixture(t testing.TB, agents string, change ...func(*gateway.Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, recorder: &recorder{prepare: prepare()}}
	n := 0
	table := parse(t, agents)
	opts := gateway.Options{
		Agents: func() *gateway.Agents { return table }, Recorder: f.recorder, Now: time.Now, Log: zaptest.NewLogger(t),
		NewID: func() string { n++; return fmt.Sprintf("run-%d", n) },
		NewTrace: func() (string, string) {
			return "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
		},
	}
	for _, c := range change {
		c(&opts)
	}
	f.Gateway = gateway.New(opts)
	t.Cleanup(f.Close)
	return f
}

// answered is the outcome of a run for the client and in the record.
type answered struct {
	names  []string // of events, consecutive deltas as one
	text   string   // of the deltas
	last   map[string]any
	record execution.Execution
}

func prompt(change ...func(*execution.Prompt)) execution.Prompt {
	p := execution.Prompt{Type: "chat", UserID: "ada", SessionID: "s-1", RequestID: "r-1", Message: "Hello"}
	for _, c := range change {
		c(&p)
	}
	return p
}

func withOptions(options string) func(*execution.Prompt) {
	return func(p *execution.Prompt) { p.Options = json.RawMessage(options) }
}

// run runs a prompt to its end and checks that there is one record, and the key in no output.
func (f *fixture) run(p execution.Prompt) answered {
	f.t.Helper()
	run, err := f.Start(p)
	if err != nil {
		f.t.Fatalf("start: %v", err)
	}
	var a answered
	before := len(f.all())
	run.Stream(context.Background(), func(e execution.Event) error {
		if name := e.Name; len(a.names) == 0 || name != "delta" || a.names[len(a.names)-1] != name {
			a.names = append(a.names, name)
		}
		data, err := json.Marshal(e.Data)
		if err != nil {
			f.t.Errorf("event %s: %v", e.Name, err)
		}
		if strings.Contains(string(data), key) {
			f.t.Errorf("event %s holds the key: %s", e.Name, data)
		}
		var object map[string]any
		_ = json.Unmarshal(data, &object)
		switch e.Name {
		case "delta":
			a.text += object["text"].(string)
		case "completed", "error":
			a.last = object
			if n := len(f.all()); n != before+1 {
				f.t.Errorf("records when the last event is sent: want one more than %d, got %d", before, n)
			}
		}
		return nil
	})
	records := f.all()
	if len(records) != before+1 {
		f.t.Fatalf("records: want one more than %d, got %d", before, len(records))
	}
	a.record = records[before]
	if all, _ := json.Marshal(a.record); strings.Contains(string(all), key) {
		f.t.Errorf("the record holds the key: %s", all)
	}
	if f.reserved != 0 || f.Running() != 0 {
		f.t.Errorf("after the run: %d reservations and %d runs are left", f.reserved, f.Running())
	}
	if n := len(a.names); n == 0 || a.names[0] != "started" {
		f.t.Errorf("events: want started first, got %v", a.names)
	}
	return a
}

// serve runs an upstream until the test ends and returns its URL.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// openAIAgents returns a file with one agent of kind openai, for every type.
func openAIAgents(url string, more ...string) string {
	return strings.Join(append([]string{
		"agents:", "- name: writer", "  types: ['*']", "  kind: openai", "  timeout: 10s",
		"  openai:", "    model: gpt-4o-mini", "    api_key_env: TEST_KEY", "    base_url: " + url,
	}, more...), "\n")
}

// httpAgents returns a file with one agent of kind http, for every type.
func httpAgents(url string, more ...string) string {
	return strings.Join(append([]string{
		"agents:", "- name: quiz", "  types: ['*']", "  kind: http", "  timeout: 10s",
		"  http:", "    url: " + url, "    headers_env: {Authorization: TEST_AUTH}",
	}, more...), "\n")
}

// chunk returns an event of a streamed chat completion.
func chunk(text string) string {
	return fmt.Sprintf("data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q},\"finish_reason\":null}],\"usage\":null}\n\n", text)
}

const (
	finish = "data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n"
	done   = "data: [DONE]\n\n"
	used   = `data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120,` +
		`"prompt_tokens_details":{"cached_tokens":60},"completion_tokens_details":{"reasoning_tokens":5}}}` + "\n\n"
)

// stream responds with events.
func stream(events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		send(w, events...)
	}
}

func send(w http.ResponseWriter, parts ...string) {
	for _, part := range parts {
		fmt.Fprint(w, part)
		_ = http.NewResponseController(w).Flush()
	}
}

// respond responds with a body.
func respond(status int, mediaType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}
