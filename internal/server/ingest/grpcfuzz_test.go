package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
)

// pieces is a body that returns size bytes per Read.
type pieces struct {
	left []byte
	size int
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(into[:min(len(into), p.size)], p.left)
	p.left = p.left[n:]
	if len(p.left) == 0 && p.size%2 == 0 {
		return n, io.EOF // as some readers do
	}
	return n, nil
}

func (p *pieces) Close() error { return nil }

// FuzzGRPCMessage reads calls' bodies in pieces of any size, and compares the result with that of the whole body.
func FuzzGRPCMessage(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0}, "", byte(1))
	f.Add([]byte("\x00\x00\x00\x00\x05hello"), "", byte(2))
	f.Add([]byte("\x01\x00\x00\x00\x05hello"), "gzip", byte(3))
	f.Add([]byte("\x01\x00\x00\x00\x05hello"), "identity", byte(7))
	f.Add([]byte("\x00\x00\x00\x00\x05hell"), "", byte(200))
	f.Add([]byte("\x00\x00\x00\x00\x05hello!"), "", byte(4))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 1}, "zstd", byte(5))
	f.Add([]byte{2, 0, 0, 0, 0}, "", byte(5))
	f.Add([]byte{0, 0}, "", byte(1))
	f.Add([]byte{}, "", byte(1))
	f.Fuzz(func(t *testing.T, body []byte, coding string, size byte) {
		m := &grpcMessage{ReadCloser: &pieces{bytes.Clone(body), max(int(size), 1)}, coding: coding}
		header := http.Header{}
		err := m.begin(m, header)
		var whole []byte
		if err == nil {
			whole, err = io.ReadAll(m)
		}
		var known *openapi.Problem
		switch {
		case len(body) < grpcFrame, body[0] > 1, body[0] == 1 && (coding == "" || coding == "identity"):
			if !errors.As(err, &known) || known.Status != http.StatusBadRequest {
				t.Errorf("not a message: got %q, %v", whole, err)
			}
			return
		}
		if got := header.Get("Content-Encoding"); (body[0] == 1) != (got != "") || got != "" && got != coding {
			t.Errorf("the content encoding is %q of %q", got, coding)
		}
		length, content := uint64(binary.BigEndian.Uint32(body[1:])), body[grpcFrame:]
		switch {
		case uint64(len(content)) < length:
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut off: got %q, %v", whole, err)
			}
		case uint64(len(content)) > length:
			if !errors.Is(err, errMoreMessages) {
				t.Errorf("more than one: got %q, %v", whole, err)
			}
		case err != nil || !bytes.Equal(whole, content):
			t.Errorf("got %q, %v, want %q", whole, err, content)
		}
	})
}
