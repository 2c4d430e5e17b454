package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

const eraseLine = "\r\x1b[K"

// harmless is a writer that replaces what could control a terminal: control characters and invalid UTF-8 become U+FFFD.
// A carriage return ends the line, so that nothing is overwritten.
type harmless struct {
	out       io.Writer
	part      []byte // of an incomplete character
	wasReturn bool
}

// Write accepts text split at any byte.
func (h *harmless) Write(p []byte) (int, error) {
	text := slices.Concat(h.part, p)
	var clean []byte
	for len(text) > 0 && utf8.FullRune(text) {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case r == '\n' && h.wasReturn:
		case r == '\n', r == '\r':
			clean = append(clean, '\n')
		case r == '\t' || unicode.IsGraphic(r):
			clean = utf8.AppendRune(clean, r)
		default:
			clean = utf8.AppendRune(clean, utf8.RuneError)
		}
		h.wasReturn = r == '\r'
	}
	h.part = bytes.Clone(text)
	if _, err := h.out.Write(clean); err != nil {
		return 0, err
	}
	return len(p), nil
}

// statusLine shows progress: on a terminal in one line that is overwritten, otherwise in a line for each change.
type statusLine struct {
	console
	shown string
}

func (s *statusLine) show(text string) {
	switch {
	case text == s.shown:
	case s.errIsTerminal:
		s.tell(eraseLine, text)
	default:
		s.tell(text, "\n")
	}
	s.shown = text
}

// end keeps the last line and moves the cursor to the next.
func (s *statusLine) end() {
	if s.errIsTerminal && s.shown != "" {
		s.tell("\n")
	}
	s.shown = ""
}

// progress shows the current operation on a terminal if it takes longer than progressAfter. A nil progress does
// nothing.
type progress struct {
	console
	doing chan string
	ended chan struct{}
}

const progressAfter = time.Second

// startProgress starts a progress display, which stop must end.
func startProgress(c console, doing string) *progress {
	if !c.errIsTerminal {
		return nil
	}
	p := &progress{console: c, doing: make(chan string), ended: make(chan struct{})}
	go p.run(doing)
	return p
}

func (p *progress) run(doing string) {
	defer close(p.ended)
	start, tick, shown := time.Now(), time.NewTicker(progressAfter), false
	defer tick.Stop()
	for {
		select {
		case next, more := <-p.doing:
			if !more {
				if shown {
					p.tell(eraseLine)
				}
				return
			}
			doing = next
		case <-tick.C:
			shown = true
			p.tell(fmt.Sprintf("%s%s … %ds", eraseLine, doing, int(time.Since(start).Seconds())))
		}
	}
}

// now changes the operation that is shown.
func (p *progress) now(doing string) {
	if p != nil {
		p.doing <- doing
	}
}

// stop removes the line.
func (p *progress) stop() {
	if p != nil {
		close(p.doing)
		<-p.ended
	}
}
