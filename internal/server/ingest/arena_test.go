package ingest

import (
	"bytes"
	"strings"
	"testing"
)

func TestArenaKeepsItsContents(t *testing.T) {
	t.Parallel()
	a := arena{left: 100 << 10}
	var payloads [][]byte
	var texts []string
	sizes := []int{0, 1, 500, payloadPiece / 4, payloadPiece/4 + 1, payloadPiece - 1, payloadPiece, 3}
	for i, size := range sizes {
		payloads = append(payloads, a.payload(bytes.Repeat([]byte{byte('a' + i)}, size)))
		texts = append(texts, a.text(bytes.Repeat([]byte{byte('A' + i)}, size)))
	}
	for _, p := range payloads {
		_ = append(p, "another's bytes"...)
	}
	for i, size := range sizes {
		if want := strings.Repeat(string(rune('a'+i)), size); string(payloads[i]) != want {
			t.Errorf("payload %d became %d bytes: %.20q", i, len(payloads[i]), payloads[i])
		}
		if want := strings.Repeat(string(rune('A'+i)), size); texts[i] != want {
			t.Errorf("text %d became %d bytes: %.20q", i, len(texts[i]), texts[i])
		}
	}
}

// A small body must take little memory, since tens of thousands may wait for the database.
func TestArenaOfSmallBody(t *testing.T) {
	t.Parallel()
	a := arena{left: 200}
	for range 4 {
		a.payload([]byte(`{"a":1}`))
		a.text([]byte("user-1"))
	}
	if got := cap(a.payloads) + a.texts.Cap(); got > 450 {
		t.Errorf("a body of 200 bytes is kept in %d", got)
	}
}
