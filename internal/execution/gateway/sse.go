package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Limits of an event stream.
const (
	maxLine  = 1 << 20 // bytes
	maxEvent = 4 << 20 // bytes of an event's data
)

var (
	errLongLine   = fmt.Errorf("a line has more than %d bytes", maxLine)
	errLargeEvent = fmt.Errorf("an event has more than %d bytes", maxEvent)
)

// serverEvent is an event of a stream.
type serverEvent struct {
	name string // "" means message
	data string
}

// eventReader reads a text/event-stream as the HTML standard defines (9.2.6). It ignores ids and retry times, which
// only matter for reconnecting.
type eventReader struct {
	r      *bufio.Reader
	line   []byte
	begun  bool // the first line was read
	skipLF bool // a line ended in CR; an LF that follows belongs to it
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 16<<10)}
}

// next reads one event. It returns io.EOF at the end and io.ErrUnexpectedEOF if the stream ends within an event.
func (e *eventReader) next() (serverEvent, error) {
	var event serverEvent
	var data bytes.Buffer
	hasData := false
	for {
		line, err := e.readLine()
		if errors.Is(err, io.EOF) && (len(line) > 0 || hasData || event.name != "") {
			return serverEvent{}, io.ErrUnexpectedEOF
		}
		if err != nil {
			return serverEvent{}, err
		}
		if len(line) == 0 {
			if hasData {
				event.data = strings.ToValidUTF8(data.String(), "\uFFFD")
				return event, nil
			}
			event.name = "" // an event without data is ignored
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":")) // a comment has an empty field
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			event.name = strings.ToValidUTF8(string(value), "\uFFFD")
		case "data":
			if data.Len()+len(value) >= maxEvent {
				return serverEvent{}, errLargeEvent
			}
			if hasData {
				data.WriteByte('\n')
			}
			hasData = true
			data.Write(value)
		}
	}
}

// readLine returns the next line without its CR, LF or CRLF. It does not wait for the byte after a CR. At the end of the
// stream it returns io.EOF with the incomplete line. The line is valid until the next call.
func (e *eventReader) readLine() ([]byte, error) {
	e.line = e.line[:0]
	for {
		if _, err := e.r.Peek(1); err != nil {
			return e.line, err
		}
		buffered, _ := e.r.Peek(e.r.Buffered()) // cannot fail
		if e.skipLF && buffered[0] == '\n' {
			e.skipLF = false
			_, _ = e.r.Discard(1)
			continue
		}
		e.skipLF = false
		end := bytes.IndexAny(buffered, "\r\n")
		part := buffered
		if end >= 0 {
			part = buffered[:end]
		}
		if len(e.line)+len(part) > maxLine {
			return nil, errLongLine
		}
		e.line = append(e.line, part...)
		if end < 0 {
			_, _ = e.r.Discard(len(part))
			continue
		}
		e.skipLF = buffered[end] == '\r'
		_, _ = e.r.Discard(end + 1)
		line := e.line
		if !e.begun {
			line = bytes.TrimPrefix(line, []byte("\uFEFF"))
		}
		e.begun = true
		return line, nil
	}
}
