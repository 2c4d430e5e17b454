package agent

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// However output is written and acknowledged, the sent text is the written one, made valid, with at most its middle missing,
// in chunks that the server accepts.
func TestOutputKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out := newOutput()
		var written, sent []byte
		take := func() bool {
			at, chunk, _ := out.peek()
			if at != int64(len(sent)) || len(chunk) > chunkBytes || !utf8.Valid(chunk) {
				t.Fatalf("a chunk of %d bytes at %d, want it valid and at %d", len(chunk), at, len(sent))
			}
			n := len(chunk)
			if n > 0 && rapid.Bool().Draw(t, "partly") {
				n = rapid.IntRange(1, n).Draw(t, "stored")
				for n < len(chunk) && !utf8.RuneStart(chunk[n]) {
					n++
				}
			}
			sent = append(sent, chunk[:n]...)
			out.stored(int64(len(sent)))
			return n > 0
		}
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "write") {
				unit := rapid.SampledFrom([]string{"a", "é", "日", "😀"}).Draw(t, "unit")
				size := rapid.SampledFrom([]int{1, 100, 10_000, 150_000}).Draw(t, "size")
				text := strings.Repeat(unit, size)
				cutAt := rapid.IntRange(0, len(text)).Draw(t, "cut") // possibly within a rune
				_, _ = out.Write([]byte(text[:cutAt]))
				_, _ = out.Write([]byte(text[cutAt:]))
				written = append(written, text...)
			} else {
				take()
			}
		}
		out.close()
		for take() {
		}
		compare(t, written, sent)
	})
}

// compare checks that sent is written, except for the parts that its marks declare as dropped.
func compare(t *rapid.T, written, sent []byte) {
	for len(sent) > 0 {
		mark := bytes.Index(sent, []byte("\n[watchbill: "))
		if mark < 0 {
			break
		}
		var dropped int
		if _, err := fmt.Sscanf(string(sent[mark:]), "\n[watchbill: %d bytes", &dropped); err != nil {
			t.Fatalf("read the mark: %v", err)
		}
		if !bytes.Equal(written[:mark], sent[:mark]) {
			t.Fatalf("what was sent before the mark at %d differs", mark)
		}
		_, after, _ := bytes.Cut(sent[mark:], []byte("here]\n"))
		written, sent = written[mark+dropped:], after
	}
	if !bytes.Equal(written, sent) {
		t.Fatalf("%d bytes were written, %d others sent", len(written), len(sent))
	}
}

func TestOutputIsBounded(t *testing.T) {
	out := newOutput()
	line := bytes.Repeat([]byte("x"), 100_000)
	for range 200 {
		_, _ = out.Write(line)
	}
	held := cap(out.head) + cap(out.tail.buf) + cap(out.result.buf) + cap(out.progress.line)
	if held > 4<<20 {
		t.Errorf("it holds %d bytes of 20 MB, want at most 4 MiB", held)
	}
}

func TestProgress(t *testing.T) {
	tests := map[string]struct {
		pieces []string
		want   string
	}{
		"plain":            {[]string{"::progress 42\n"}, "42 "},
		"message":          {[]string{"::progress 42.5 pulling image \r\n"}, "42.5 pulling image"},
		"per cent":         {[]string{"::progress 7%\n"}, "7 "},
		"in pieces":        {[]string{"x\n::pro", "gress 1", "2\n::progress 99"}, "12 "},
		"the last counts":  {[]string{"::progress 1\n::progress 2\n"}, "2 "},
		"zero":             {[]string{"::progress 0\n"}, "0 "},
		"not at the start": {[]string{"x ::progress 42\n"}, ""},
		"too much":         {[]string{"::progress 101\n"}, ""},
		"negative":         {[]string{"::progress -1\n"}, ""},
		"no number":        {[]string{"::progress soon\n::progress \n"}, ""},
		"not a number":     {[]string{"::progress NaN\n::progress Inf\n"}, ""},
		"too long":         {[]string{"::progress 42 " + strings.Repeat("x", 600) + "\n"}, ""},
		"after a long one": {[]string{strings.Repeat("x", 5000), "\n::progress 3\n"}, "3 "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s progressScanner
			for _, p := range tt.pieces {
				s.scan([]byte(p))
			}
			got := ""
			if s.last != nil {
				got = fmt.Sprint(s.last.percent) + " " + s.last.message
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
