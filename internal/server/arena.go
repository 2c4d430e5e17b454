package server

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// arena copies what is kept of a body, so that whatever waits to be stored does not keep all of it: into few pieces of
// memory, which are not much larger together than the body.
type arena struct {
	left     int // bytes of the body that may still come
	texts    strings.Builder
	payloads []byte
}

// The sizes of the pieces, where as much may still come.
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

// payload keeps what an agent was given or answered as it came. The ledger replaces what cannot be stored in it, as in
// payloads that come other ways.
func (a *arena) payload(value jsontext.Value) []byte {
	switch {
	case value == nil:
		return nil
	case len(value) > payloadPiece/4: // would leave much of a piece unused
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
