package otlp

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// compressed returns n zero bytes as compressed by a writer.
func compressed(t testing.TB, to *bytes.Buffer, writer io.WriteCloser, n int64) []byte {
	t.Helper()
	if _, err := io.CopyN(writer, zeros{}, n); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return to.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func gzipped(t testing.TB, n int64) []byte {
	t.Helper()
	var to bytes.Buffer
	return compressed(t, &to, gzip.NewWriter(&to), n)
}

func zstandard(t testing.TB, n int64, opts ...zstd.EOption) []byte {
	t.Helper()
	var to bytes.Buffer
	writer, err := zstd.NewWriter(&to, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return compressed(t, &to, writer, n)
}

// TestDecompressionBombs checks that small bodies that decompress to large ones are rejected before they take much memory.
func TestDecompressionBombs(t *testing.T) { // not parallel: it measures memory
	const limit = 1 << 20
	small := gzipped(t, limit/8)
	for name, tt := range map[string]struct {
		coding string
		body   []byte
		status int // 0 if it is accepted
		says   string
	}{
		"gzip at the limit":     {coding: gzipCoding, body: gzipped(t, limit)},
		"gzip over the limit":   {coding: gzipCoding, body: gzipped(t, limit+1), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes"},
		"a gzip bomb":           {coding: gzipCoding, body: gzipped(t, 1<<30), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes"},
		"many members of gzip":  {coding: gzipCoding, body: bytes.Repeat(small, 9), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes"},
		"zstd at the limit":     {coding: zstdCoding, body: zstandard(t, limit)},
		"zstd over the limit":   {coding: zstdCoding, body: zstandard(t, limit+1), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes"},
		"a zstd bomb":           {coding: zstdCoding, body: zstandard(t, 1<<30), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes"},
		"many frames of zstd":   {coding: zstdCoding, body: bytes.Repeat(zstandard(t, limit/8), 9), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes"},
		"a large window":        {coding: zstdCoding, body: zstandard(t, 64<<20, zstd.WithWindowSize(64<<20)), status: http.StatusRequestEntityTooLarge, says: "1048576 bytes|window"},
		"a header that lies":    {coding: zstdCoding, body: []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, status: http.StatusRequestEntityTooLarge, says: "1048576 bytes|window"},
		"a frame to be skipped": {coding: zstdCoding, body: append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, zstandard(t, 10)...)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		sent := body{coding: tt.coding, content: tt.body}
		err := sent.decompress(limit)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
			t.Errorf("%s: it takes %d bytes of memory", name, took)
		}
		var refused *refusal
		switch {
		case tt.status == 0:
			if err != nil || len(sent.content) == 0 {
				t.Errorf("%s: got %d bytes, %v", name, len(sent.content), err)
			}
		case !errors.As(err, &refused) || refused.status != tt.status:
			t.Errorf("%s: got %d bytes, %v", name, len(sent.content), err)
		default:
			if first, second, _ := strings.Cut(tt.says, "|"); !strings.Contains(refused.message, first) && (second == "" || !strings.Contains(refused.message, second)) {
				t.Errorf("%s: it says %s", name, refused.message)
			}
		}
	}
}

// FuzzDecompress checks that any body is either read or rejected as the client's fault, and never exceeds the limit.
func FuzzDecompress(f *testing.F) {
	for _, body := range [][]byte{gzipped(f, 100), zstandard(f, 100), gzipped(f, 1<<17), zstandard(f, 1<<17), []byte("hello"), {}} {
		f.Add(true, body)
		f.Add(false, body)
		f.Add(false, append(bytes.Clone(body), body...))
		f.Add(true, append(bytes.Clone(body), 1, 2, 3))
		f.Add(false, body[:len(body)/2])
	}
	f.Fuzz(func(t *testing.T, isGzip bool, compressed []byte) {
		const limit = 1 << 16
		coding := zstdCoding
		if isGzip {
			coding = gzipCoding
		}
		sent := body{coding: coding, content: compressed}
		err := sent.decompress(limit)
		var refused *refusal
		switch {
		case err == nil && len(sent.content) > limit:
			t.Errorf("%d bytes, more than the limit", len(sent.content))
		case err != nil && (!errors.As(err, &refused) || refused.status < 400 || refused.status >= 500):
			t.Errorf("got %v", err)
		}
	})
}
