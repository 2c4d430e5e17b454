package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What an event stream may have at the most.
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
	name string // empty: message
	data string
}

// eventReader reads a text/event-stream as the HTML standard says (9.2.6), but that it forgets ids and retry times, which
// only matter to whoever would connect again.
type eventReader struct {
	r      *bufio.Reader
	line   []byte
	begun  bool // the first line was read
	skipLF bool // a line ended in CR; an LF that follows belongs to it
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 16<<10)}
}

// next reads one event. It fails with io.EOF at the end, and with io.ErrUnexpectedEOF if the stream ends within an event.
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
			event.name = "" // an event without data is none
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":")) // before the colon of a comment is nothing
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

// readLine reads up to CR, LF or CRLF, none of which is in the line. It does not wait for what follows a CR. At the end
// of the stream it returns io.EOF with the line that was begun. A line is good until the next is read.
func (e *eventReader) readLine() ([]byte, error) {
	e.line = e.line[:0]
	for {
		if _, err := e.r.Peek(1); err != nil {
			return e.line, err
		}
		buffered, _ := e.r.Peek(e.r.Buffered()) // is there
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
