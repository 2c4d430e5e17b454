package gateway_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/gateway"
)

// stall waits until the client disconnects.
func stall(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// silent never begins a response.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // otherwise net/http would not notice that the client disconnects
	<-r.Context().Done()
}

// breakOff closes the connection in the middle of the response.
func breakOff() { panic(http.ErrAbortHandler) }

func TestUpstreamsThatMisbehave(t *testing.T) {
	t.Parallel()
	const (
		failure, timeout, success = execution.Failure, execution.Timeout, execution.Success

		stalls  = "idle_timeout: 1s"
		endless = "timeout: 700ms"
	)
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect to another host was followed, with Authorization %q", r.Header.Get("Authorization"))
	})
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	var bomb bytes.Buffer
	zipped := gzip.NewWriter(&bomb)
	_, _ = zipped.Write(make([]byte, 1<<24))
	_ = zipped.Close()
	eventsThen := func(then http.HandlerFunc, events ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			stream(events...)(w, r)
			then(w, r)
		}
	}
	abort := func(http.ResponseWriter, *http.Request) { breakOff() }
	const early = "the upstream's response ended early"

	for name, test := range map[string]struct {
		upstream http.HandlerFunc
		agents   func(url string, more ...string) string // nil: openAIAgents
		status   execution.Status
		code     string
		message  string // part of the message
		text     string // sent before the error
		times    string // timeouts; empty: longer than any test takes
	}{
		"stalls before it answers": {upstream: silent, status: timeout, code: "idle_timeout", message: "the upstream sent nothing for 1s", times: stalls},
		"stalls in its answer":     {upstream: eventsThen(stall, chunk("Hi")), status: timeout, code: "idle_timeout", message: "sent nothing for 1s", text: "Hi", times: stalls},
		"stalls in an answer that is JSON": {upstream: func(w http.ResponseWriter, r *http.Request) {
			respond(200, "application/json", `{"choices"`)(w, r)
			stall(w, r)
		}, status: timeout, code: "idle_timeout", message: "nothing for 1s", times: stalls},
		"stalls in an error":      {upstream: func(w http.ResponseWriter, r *http.Request) { respond(500, "text/plain", "oh")(w, r); stall(w, r) }, status: failure, code: "upstream_500", message: "500 Internal Server Error: oh", times: stalls},
		"stalls after its answer": {upstream: eventsThen(stall, chunk("Hi"), finish, done), status: success, text: "Hi"},
		"never ends":              {upstream: func(w http.ResponseWriter, r *http.Request) { stream()(w, r); forEver(w, r, chunk("x")) }, status: timeout, code: "timeout", message: "the agent did not finish within 700ms", times: endless},
		"sends comments for ever": {upstream: func(w http.ResponseWriter, r *http.Request) { stream()(w, r); forEver(w, r, ":\n") }, status: timeout, code: "timeout", message: "did not finish within 700ms", times: endless},
		"sends a line for ever": {upstream: func(w http.ResponseWriter, r *http.Request) {
			stream()(w, r)
			forEver(w, r, strings.Repeat("x", 1<<16))
		}, status: failure, code: "upstream_malformed", message: "a line has more than"},
		"sends an event for ever": {upstream: func(w http.ResponseWriter, r *http.Request) {
			stream()(w, r)
			forEver(w, r, "data: "+strings.Repeat("x", 1<<16)+"\n")
		}, status: failure, code: "upstream_malformed", message: "an event has more than"},
		"sends too much": {upstream: func(w http.ResponseWriter, r *http.Request) {
			stream()(w, r)
			forEver(w, r, chunk(strings.Repeat("x", 1<<15)))
		}, status: failure, code: "output_too_large", message: "the response is over 100000 bytes"},
		"sends too much JSON":           {upstream: respond(200, "application/json", `"`+strings.Repeat("x", 200_000)+`"`), status: failure, code: "output_too_large", message: "over 100000 bytes"},
		"ends without saying so":        {upstream: stream(chunk("Hi")), status: failure, code: "upstream_ended_early", message: early, text: "Hi"},
		"ends in an event":              {upstream: stream(chunk("Hi"), "data: {"), status: failure, code: "upstream_ended_early", message: early, text: "Hi"},
		"says nothing at all":           {upstream: stream(), status: failure, code: "upstream_ended_early", message: early},
		"breaks off":                    {upstream: eventsThen(abort, chunk("Hi")), status: failure, code: "upstream_ended_early", message: early, text: "Hi"},
		"breaks off at once":            {upstream: abort, status: failure, code: "upstream_ended_early", message: early},
		"has no JSON in an event":       {upstream: stream(chunk("Hi"), "data: oops\n\n"), status: failure, code: "upstream_malformed", message: "an event that is not a chunk of a chat completion", text: "Hi"},
		"has other JSON in an event":    {upstream: stream("data: {\"choices\":5}\n\n"), status: failure, code: "upstream_malformed", message: "not a chunk of a chat completion"},
		"fails in its stream":           {upstream: stream(chunk("Hi"), `data: {"error":{"message":"overloaded, `+key+`","type":"server_error"}}`+"\n\n"), status: failure, code: "upstream_error", message: "the upstream failed: overloaded, [redacted]", text: "Hi"},
		"fails in its stream otherwise": {upstream: stream("event: error\ndata: {\"message\":\"overloaded\"}\n\n"), status: failure, code: "upstream_error", message: "the upstream failed: overloaded"},
		"answers with an error in 200":  {upstream: respond(200, "application/json", `{"error":{"message":"no such model"}}`), status: failure, code: "upstream_error", message: "the upstream failed: no such model"},
		"answers with no choices":       {upstream: respond(200, "application/json", `{}`), status: failure, code: "upstream_malformed", message: "it has no choices"},
		"answers with half of JSON":     {upstream: respond(200, "application/json", `{"choices":[`), status: failure, code: "upstream_malformed", message: "is not a chat completion"},
		"answers with HTML":             {upstream: respond(200, "text/html", "<h1>Login</h1>"), status: failure, code: "upstream_malformed", message: `content type is "text/html"`},
		"answers with no content type":  {upstream: func(w http.ResponseWriter, _ *http.Request) { w.Header()["Content-Type"] = nil; fmt.Fprint(w, "x") }, status: failure, code: "upstream_malformed", message: `content type is ""`},
		"has no content":                {upstream: respond(204, "text/event-stream", ""), status: failure, code: "upstream_ended_early", message: early},
		"limits the rate": {upstream: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "20")
			respond(429, "application/json", `{"error":{"message":"slow down"}}`)(w, r)
		}, status: failure, code: "upstream_429", message: "the upstream responded with 429 Too Many Requests: slow down; Retry-After: 20s"},
		"does not know the key":     {upstream: respond(401, "application/json", `{"error":{"message":"Incorrect API key provided: `+key+`"}}`), status: failure, code: "upstream_401", message: "401 Unauthorized: Incorrect API key provided"},
		"repeats the key in a page": {upstream: respond(500, "text/html", "<p>Bearer "+key+"</p>"+strings.Repeat("\n<p>\x00\xff", 5000)), status: failure, code: "upstream_500", message: "500 Internal Server Error: <p>"},
		"is unavailable":            {upstream: respond(503, "text/plain", ""), status: failure, code: "upstream_503", message: "the upstream responded with 503 Service Unavailable"},
		"has a status of its own":   {upstream: respond(599, "text/plain", "?"), status: failure, code: "upstream_599", message: "the upstream responded with 599 : ?"},
		"redirects to another host": {upstream: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere+"/chat/completions", http.StatusTemporaryRedirect)
		}, status: failure, code: "upstream_307", message: "redirects to another place are not followed"},
		"asks for a GET elsewhere": {upstream: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, status: failure, code: "upstream_302", message: "not followed"},
		"redirects in a circle": {upstream: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusPermanentRedirect)
		}, status: failure, code: "upstream_308", message: "not followed"},
		"redirects to its own other path": {upstream: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/chat/completions" {
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
				return
			}
			if r.Header.Get("Authorization") != "Bearer "+key {
				t.Error("the redirected request lost its key")
			}
			stream(chunk("Hi"), done)(w, r)
		}, status: success, text: "Hi"},
		"has huge headers": {upstream: func(w http.ResponseWriter, r *http.Request) {
			for n := range 100 {
				w.Header().Set(fmt.Sprintf("X-%d", n), strings.Repeat("x", 5000))
			}
			stream(chunk("Hi"), done)(w, r)
		}, status: failure, code: "upstream_unreachable", message: "response headers exceeded"},
		"compresses as it was asked": {upstream: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Content-Encoding", "gzip")
			zipped := gzip.NewWriter(w)
			fmt.Fprint(zipped, chunk("H"))
			_ = zipped.Flush()
			fmt.Fprint(zipped, chunk("i")+done)
			_ = zipped.Close()
		}, status: success, text: "Hi"},
		"says that it compresses, and does not": {upstream: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			stream(chunk("Hi"), done)(w, r)
		}, status: failure, code: "upstream_broken", message: "gzip: invalid header"},
		"compresses otherwise": {upstream: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			stream("?")(w, r)
		}, status: failure, code: "upstream_malformed", message: `is compressed with "br"`},
		"sends a bomb": {upstream: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, status: failure, code: "output_too_large", message: "over 100000 bytes"},

		"http: says nothing":     {upstream: stream(": hello\n\n"), agents: httpAgents, status: failure, code: "upstream_ended_early", message: "response was empty"},
		"http: says no text":     {upstream: respond(200, "text/plain", ""), agents: httpAgents, status: failure, code: "upstream_ended_early", message: "response was empty"},
		"http: ends in an event": {upstream: stream("data: Hi\n\n", "data: you"), agents: httpAgents, status: failure, code: "upstream_ended_early", message: early, text: "Hi"},
		"http: breaks off":       {upstream: eventsThen(abort, "data: Hi\n\n"), agents: httpAgents, status: failure, code: "upstream_ended_early", message: early, text: "Hi"},
		"http: breaks off its text": {upstream: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			send(w, "Hi")
			breakOff()
		}, agents: httpAgents, status: failure, code: "upstream_ended_early", message: early, text: "Hi"},
		"http: fails in its stream":         {upstream: stream("data: Hi\n\n", "event: error\ndata: {\"message\":\"broken "+key+"\"}\n\n"), agents: httpAgents, status: failure, code: "upstream_error", message: "the upstream failed: broken [redacted]", text: "Hi"},
		"http: fails in its stream, too":    {upstream: stream(`data: {"error":"broken"}` + "\n\n"), agents: httpAgents, status: failure, code: "upstream_error", message: "the upstream failed: broken"},
		"http: has no JSON":                 {upstream: respond(200, "application/json", "{"), agents: httpAgents, status: failure, code: "upstream_malformed", message: "is not JSON"},
		"http: answers with an image":       {upstream: respond(200, "image/png", "x"), agents: httpAgents, status: failure, code: "upstream_malformed", message: `content type is "image/png"`},
		"http: refuses":                     {upstream: respond(422, "application/problem+json", `{"title":"x","detail":"the topic is missing"}`), agents: httpAgents, status: failure, code: "upstream_422", message: "422 Unprocessable Entity: the topic is missing"},
		"http: repeats the key":             {upstream: respond(500, "text/plain", "got "+key), agents: httpAgents, status: failure, code: "upstream_500", message: "got [redacted]"},
		"repeats the key in a status":       {upstream: raw("HTTP/1.1 " + key + "\r\n\r\n"), status: failure, code: "upstream_unreachable", message: `malformed HTTP status code "[redacted]"`},
		"repeats the key in a header":       {upstream: raw("HTTP/1.1 200 OK\r\nBearer " + key + "\r\n\r\n"), status: failure, code: "upstream_unreachable", message: "missing colon: \"Bearer [redacted]"},
		"repeats the key in a length":       {upstream: raw("HTTP/1.1 200 OK\r\nContent-Length: " + key + "\r\n\r\n"), status: failure, code: "upstream_unreachable", message: `bad Content-Length "[redacted]"`},
		"repeats the key in its type":       {upstream: respond(200, "text/"+key, "x"), status: failure, code: "upstream_malformed", message: `content type is "text/[redacted]"`},
		"repeats the key in its coding":     {upstream: raw("HTTP/1.1 200 OK\r\nContent-Encoding: " + key + "\r\nContent-Length: 0\r\n\r\n"), status: failure, code: "upstream_malformed", message: `compressed with "[redacted]"`},
		"repeats the key where it is cut":   {upstream: respond(401, "text/plain", strings.Repeat(" ", 4<<10-len(key)+3)+key), status: failure, code: "upstream_401", message: "401 Unauthorized: [redacted]"},
		"http: repeats the key in a status": {upstream: raw("HTTP/1.1 " + key + "\r\n\r\n"), agents: httpAgents, status: failure, code: "upstream_unreachable", message: `malformed HTTP status code "[redacted]"`},
		"cannot be reached":                 {agents: func(string, ...string) string { return openAIAgents(closed.URL, "") }, status: failure, code: "upstream_unreachable", message: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agents := test.agents
			if agents == nil {
				agents = openAIAgents
			}
			url := "http://127.0.0.1"
			if test.upstream != nil {
				url = serve(t, test.upstream)
			}
			file := strings.Replace(agents(url), "timeout: 10s", cmp.Or(test.times, "timeout: 1m"), 1)
			a := newFixture(t, file, func(o *gateway.Options) { o.MaxOutput = 100_000 }).run(prompt())
			if a.record.Status != test.status || !strings.Contains(a.record.ErrorMessage, test.message) {
				t.Errorf("record: want %s and %q, got %s and %q", test.status, test.message, a.record.Status, a.record.ErrorMessage)
			}
			if test.text != "" && (a.text != test.text || !strings.Contains(string(a.record.Output), test.text)) {
				t.Errorf("said: want %q, got %q and recorded %s", test.text, a.text, a.record.Output)
			}
			if test.status == success {
				return
			}
			if a.last["code"] != test.code || a.last["status"] != string(test.status) || a.last["message"] != a.record.ErrorMessage {
				t.Errorf("error event: want %s and the record's message, got %v", test.code, a.last)
			}
			if name == "limits the rate" && a.last["retry_after_seconds"] != 20.0 {
				t.Errorf("error event: want when to come again, got %v", a.last)
			}
			if strings.Contains(a.record.ErrorMessage, key[:10]) {
				t.Errorf("the key is in %q", a.record.ErrorMessage)
			}
			if len(a.record.ErrorMessage) > 600 {
				t.Errorf("an error message of %d bytes", len(a.record.ErrorMessage))
			}
		})
	}
}

// raw responds with these bytes, which need not be HTTP.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(connection, answer)
		_ = connection.Close()
	}
}

// An upstream that returns the key as its model's name does not get it into the record, and so into figures and metrics.
func TestModelEqualToAPIKey(t *testing.T) {
	t.Parallel()
	url := serve(t, stream(`data: {"model":"`+key+`","choices":[{"delta":{"content":"Hi"},"finish_reason":"`+key+`"}]}`+"\n\n", done))
	a := newFixture(t, openAIAgents(url)).run(prompt())
	if a.record.Model != "[redacted]" || a.last["model"] != "[redacted]" || strings.Contains(string(a.record.Output), key) {
		t.Errorf("recorded %+v, sent %v", a.record, a.last)
	}
}

// forEver repeats part until the client disconnects.
func forEver(w http.ResponseWriter, r *http.Request, part string) {
	for r.Context().Err() == nil {
		send(w, part)
	}
}

// A connection whose response was read to its end is reused by the next run.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(stream(chunk("Hi"), finish, used, done))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	f := newFixture(t, openAIAgents(server.URL))
	for range 5 {
		f.run(prompt())
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("connections of five runs: want 1, got %d", n)
	}
}
