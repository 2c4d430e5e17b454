package rig

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestConn checks the client against responses of net/http, all over one connection.
func TestConn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long ", 20_000)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /304", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"tag"`)
		w.WriteHeader(http.StatusNotModified)
	})
	mux.HandleFunc("GET /long", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(w, long)
	})
	mux.HandleFunc("GET /chunked", func(w http.ResponseWriter, _ *http.Request) {
		for part := range strings.SplitAfterSeq(long[:5000], " ") {
			_, _ = io.WriteString(w, part)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("GET /closes", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	conn, err := Dial(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, test := range []struct {
		method, path, body string
		want               Response
	}{
		{"GET", "/304", "", Response{Status: 304, ETag: []byte(`"tag"`)}},
		{"GET", "/long", "", Response{Status: 200, Body: []byte(long)}},
		{"GET", "/304", "", Response{Status: 304, ETag: []byte(`"tag"`)}},
		{"GET", "/chunked", "", Response{Status: 200, Body: []byte(long[:5000])}},
		{"POST", "/echo", `{"a":1}`, Response{Status: 201, Body: []byte(`{"a":1}`)}},
		{"GET", "/nowhere", "", Response{Status: 404, Body: []byte("404 page not found\n")}},
		{"GET", "/closes", "", Response{Status: 200, Closes: true}},
	} {
		var body []byte
		if test.body != "" {
			body = []byte(test.body)
		}
		got, err := conn.Do(Request(test.method, test.path, host, "", body))
		if err != nil {
			t.Fatalf("%s: %v", test.path, err)
		}
		if got.Status != test.want.Status || string(got.ETag) != string(test.want.ETag) || string(got.Body) != string(test.want.Body) || got.Closes != test.want.Closes {
			t.Errorf("%s: got %d, ETag %q, %d bytes of body, closes %v; want %d, %q, %d, %v", test.path, got.Status, got.ETag, len(got.Body), got.Closes,
				test.want.Status, test.want.ETag, len(test.want.Body), test.want.Closes)
		}
	}
	if _, err := conn.Do(Request("GET", "/304", host, "", nil)); err == nil {
		t.Error("a request over a closed connection succeeds")
	}
}

// TestConnBytes checks the reported length of responses, and that malformed responses are errors.
func TestConnBytes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer string
		bytes  int // 0 for an error
	}{
		"no body":              {answer: "HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n", bytes: 38},
		"a body":               {answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", bytes: 41},
		"chunks":               {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", bytes: 60},
		"another protocol":     {answer: "220 mail.example ESMTP\r\n"},
		"a length below zero":  {answer: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"},
		"a chunk of nonsense":  {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
		"an end in the head":   {answer: "HTTP/1.1 200 OK\r\nContent-"},
		"an end in the body":   {answer: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"},
		"an end between parts": {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			go func() {
				defer theirs.Close()
				_, _ = http.ReadRequest(bufio.NewReader(theirs))
				_, _ = io.WriteString(theirs, test.answer) // its end may be rejected
			}()
			conn := &Conn{conn: ours, read: bufio.NewReader(ours)}
			defer conn.Close()
			got, err := conn.Do(Request("GET", "/", "host", "", nil))
			if (err != nil) != (test.bytes == 0) {
				t.Fatalf("error %v, want %v", err, test.bytes == 0)
			}
			if err == nil && got.Bytes != test.bytes {
				t.Errorf("%d bytes, want %d", got.Bytes, test.bytes)
			}
		})
	}
}
