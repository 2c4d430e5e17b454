package ingest

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// arena holds copies of the parts of a request body that are kept, so that executions waiting to be stored do not keep
// the whole body in memory. It allocates few pieces, which together are not much larger than the body.
type arena struct {
	left     int // bytes of the body that are not yet copied
	texts    strings.Builder
	payloads []byte
}

// The sizes of the pieces. A piece is smaller if less of the body is left.
const (
	textPiece    = 4 << 10  // bytes
	payloadPiece = 32 << 10 // bytes
)

func (a *arena) text(text []byte) string {
	if a.texts.Cap()-a.texts.Len() < len(text) {
		a.texts = strings.Builder{}
		a.texts.Grow(max(len(text), min(textPiece, a.left)))
	}
	a.left -= len(text)
	from := a.texts.Len()
	a.texts.Write(text)
	return a.texts.String()[from:]
}

// payload returns a copy of an agent's input or output, unchanged. The ledger replaces what cannot be stored, as it
// does for payloads from other sources.
func (a *arena) payload(value jsontext.Value) []byte {
	switch {
	case value == nil:
		return nil
	case len(value) > payloadPiece/4: // could leave much of a piece unused
		a.left -= len(value)
		return bytes.Clone(value)
	case cap(a.payloads)-len(a.payloads) < len(value):
		a.payloads = make([]byte, 0, max(len(value), min(payloadPiece, a.left)))
	}
	a.left -= len(value)
	from := len(a.payloads)
	a.payloads = append(a.payloads, value...)
	return a.payloads[from:len(a.payloads):len(a.payloads)]
}
