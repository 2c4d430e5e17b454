package gateway_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution/gateway"
)

func TestEventStreams(t *testing.T) {
	t.Parallel()
	type events = [][2]string
	for name, test := range map[string]struct {
		stream string
		want   events
		end    error
	}{
		"nothing":                     {"", nil, io.EOF},
		"one":                         {"data: a\n\n", events{{"", "a"}}, io.EOF},
		"CR":                          {"data: a\r\rdata: b\r\r", events{{"", "a"}, {"", "b"}}, io.EOF},
		"CRLF":                        {"data: a\r\n\r\ndata: b\r\n\r\n", events{{"", "a"}, {"", "b"}}, io.EOF},
		"all line ends":               {"data: a\rdata: b\ndata: c\r\n\r\ndata: d\n\n", events{{"", "a\nb\nc"}, {"", "d"}}, io.EOF},
		"LF CR is two":                {"data: a\n\rdata: b\n\r", events{{"", "a"}, {"", "b"}}, io.EOF},
		"a name":                      {"event: delta\ndata: a\n\ndata: b\n\n", events{{"delta", "a"}, {"", "b"}}, io.EOF},
		"a name without data is none": {"event: ping\n\ndata: a\n\n", events{{"", "a"}}, io.EOF},
		"comments":                    {": hello\n:\ndata: a\n: more\n\n:\n\n", events{{"", "a"}}, io.EOF},
		"one blank is taken away":     {"data:  a\n\ndata:a\n\n", events{{"", " a"}, {"", "a"}}, io.EOF},
		"empty data":                  {"data\n\ndata:\ndata\n\n", events{{"", ""}, {"", "\n"}}, io.EOF},
		"other fields":                {"id: 1\nretry: 5\nfoo: bar\nDATA: x\ndata: a\n\n", events{{"", "a"}}, io.EOF},
		"a colon in data":             {"data: a: b\n\n", events{{"", "a: b"}}, io.EOF},
		"a byte order mark":           {"\uFEFFdata: a\n\n\uFEFFdata: b\n\n", events{{"", "a"}}, io.EOF},
		"not UTF-8":                   {"data: a\xffb\n\n", events{{"", "a\uFFFDb"}}, io.EOF},
		"ends within an event":        {"data: a\n\ndata: b\n", events{{"", "a"}}, io.ErrUnexpectedEOF},
		"ends within a line":          {"data: a\n\ndat", events{{"", "a"}}, io.ErrUnexpectedEOF},
		"ends after a name":           {"event: a\n", nil, io.ErrUnexpectedEOF},
		"a long line":                 {"data: " + strings.Repeat("x", gateway.MaxLine-6) + "\n\n", events{{"", strings.Repeat("x", gateway.MaxLine-6)}}, io.EOF},
		"too long a line":             {"data: " + strings.Repeat("x", gateway.MaxLine) + "\n\n", nil, gateway.ErrLongLine},
		"a line without end":          {strings.Repeat("x", 3*gateway.MaxLine), nil, gateway.ErrLongLine},
		"too large an event":          {strings.Repeat("data: "+strings.Repeat("x", gateway.MaxLine-10)+"\n", 5), nil, gateway.ErrLargeEvent},
		"blank lines":                 {"\n\r\n\r\n\n", nil, io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, r := range map[string]io.Reader{
				"at once":      strings.NewReader(test.stream),
				"byte by byte": iotest.OneByteReader(strings.NewReader(test.stream)),
				"with its end": iotest.DataErrReader(strings.NewReader(test.stream)),
			} {
				if how != "at once" && len(test.stream) > 3000 {
					continue
				}
				got, err := gateway.ReadEvents(r)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
				if !errors.Is(err, test.end) {
					t.Errorf("%s: ends with %v, want %v", how, err, test.end)
				}
			}
		})
	}
}

// A line ends with its CR; the next byte may arrive much later.
func TestEventsAreNotDelayedByLineFeeds(t *testing.T) {
	t.Parallel()
	in, out := io.Pipe()
	got := make(chan [][2]string, 1)
	go func() {
		events, _ := gateway.ReadEvents(in)
		got <- events
	}()
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = out.Write([]byte("data: a\r\r")) // returns when all was read
		_, _ = out.Write([]byte("\ndata: b\r\n\r"))
		_ = out.Close()
	}()
	<-wrote
	if diff := cmp.Diff([][2]string{{"", "a"}, {"", "b"}}, <-got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzSSE(f *testing.F) {
	for _, seed := range []string{"data: a\n\n", "event: x\r\ndata: {\"a\":1}\r\n\r\n", "\uFEFF:\rdata\r\r", "data: \xff\n\n", chunk("a") + finish + used + done} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, stream string, step int) {
		whole, wholeErr := gateway.ReadEvents(strings.NewReader(stream))
		pieces, piecesErr := gateway.ReadEvents(&stepReader{rest: stream, step: 1 + max(step, -step)%7})
		if diff := cmp.Diff(whole, pieces); diff != "" || !errors.Is(piecesErr, wholeErr) {
			t.Errorf("in pieces: %v and %v\n%s", wholeErr, piecesErr, diff)
		}
		size := 0
		for _, event := range whole {
			if !utf8.ValidString(event[0]) || !utf8.ValidString(event[1]) {
				t.Errorf("event %q is not UTF-8", event)
			}
			if strings.ContainsAny(event[0], "\r\n") || strings.Contains(event[1], "\r") {
				t.Errorf("event %q has line ends", event)
			}
			size += len(event[0]) + len(event[1])
		}
		if size > 3*len(stream) { // U+FFFD has three bytes
			t.Errorf("%d bytes made events of %d", len(stream), size)
		}
		if !errors.Is(wholeErr, io.EOF) && !errors.Is(wholeErr, io.ErrUnexpectedEOF) && len(stream) < gateway.MaxLine {
			t.Errorf("a short stream ends with %v", wholeErr)
		}
	})
}

// stepReader returns a few bytes at a time.
type stepReader struct {
	rest string
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if r.rest == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.step)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
