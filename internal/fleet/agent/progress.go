package agent

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	progressMark = "::progress "
	maxLine      = 512 // bytes; longer lines are not parsed
)

// progress is a parsed line such as "::progress 42 pulling image".
type progress struct {
	percent float64
	message string
}

// progressScanner finds progress lines in output written in pieces.
type progressScanner struct {
	line []byte // the line so far, up to maxLine
	last *progress
}

func (s *progressScanner) scan(p []byte) {
	for len(p) > 0 {
		piece, rest, whole := bytes.Cut(p, []byte{'\n'})
		if room := maxLine + 1 - len(s.line); room > 0 {
			s.line = append(s.line, piece[:min(len(piece), room)]...)
		}
		if !whole {
			return
		}
		if found, ok := parseProgress(s.line); ok {
			s.last = &found
		}
		s.line, p = s.line[:0], rest
	}
}

func parseProgress(line []byte) (progress, bool) {
	text, ok := strings.CutPrefix(string(line), progressMark)
	if !ok || len(line) > maxLine {
		return progress{}, false
	}
	number, message, _ := strings.Cut(strings.TrimSpace(text), " ")
	percent, err := strconv.ParseFloat(strings.TrimSuffix(number, "%"), 64)
	if err != nil || !(percent >= 0 && percent <= 100) { // false for NaN too
		return progress{}, false
	}
	return progress{percent: percent, message: strings.TrimSpace(message)}, true
}
