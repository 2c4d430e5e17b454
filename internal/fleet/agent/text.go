package agent

import (
	"strings"
	"unicode/utf8"
)

// cleanRune replaces a rune that the server rejects. Invalid UTF-8 is utf8.RuneError already.
func cleanRune(r rune) rune {
	if r == 0 {
		return utf8.RuneError
	}
	return r
}

func cleanText(s string) string { return strings.Map(cleanRune, s) }

// tail keeps the newest bytes of a text.
type tail struct {
	limit   int
	buf     []byte // up to twice the limit, so that moving is rare
	dropped int64
}

func (t *tail) empty() bool { return len(t.buf) == 0 }

func (t *tail) add(p []byte) {
	t.buf = append(t.buf, p...)
	if len(t.buf) >= 2*t.limit {
		t.trim()
	}
}

// trim drops bytes above the limit, and the rest of a cut rune.
func (t *tail) trim() {
	over := max(len(t.buf)-t.limit, 0)
	for over > 0 && over < len(t.buf) && !utf8.RuneStart(t.buf[over]) {
		over++
	}
	t.buf = append(t.buf[:0], t.buf[over:]...)
	t.dropped += int64(over)
}

// take removes and returns the text, with the number of bytes dropped.
func (t *tail) take() (text []byte, dropped int64) {
	t.trim()
	text, dropped = t.buf, t.dropped
	t.buf, t.dropped = nil, 0
	return text, dropped
}
