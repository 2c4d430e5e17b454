package otlp

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Supported content encodings other than identity.
const (
	gzipCoding = "gzip"
	zstdCoding = "zstd"
)

// decompress decompresses the content to at most limit bytes.
func (b *body) decompress(limit int64) (err error) {
	into := buffers.Get().(*bytes.Buffer)
	switch b.coding {
	case gzipCoding:
		err = gunzip(into, b.content, limit)
	case zstdCoding:
		err = unzstd(into, b.content, limit)
	default:
		keepBuffer(into)
		return nil
	}
	if err != nil {
		keepBuffer(into)
		return err
	}
	b.release()
	b.coding, b.content, b.memory = "", into.Bytes(), into
	return nil
}

func errDecompressed(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "the body decompresses to more than %d bytes: export fewer records at once", limit)
}

// gunzip decompresses one or more gzip members.
func gunzip(into *bytes.Buffer, compressed []byte, limit int64) error {
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return refuse(http.StatusBadRequest, "the body is not gzip, though its content encoding says so")
	}
	err = readAll(into, reader, nil, limit)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooMuch):
		return errDecompressed(limit)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, "the body's gzip ends early")
	case errors.Is(err, gzip.ErrHeader):
		return refuse(http.StatusBadRequest, "there is more data after the body's gzip")
	default:
		return refuse(http.StatusBadRequest, "the body's gzip is damaged")
	}
}

// maxWindow limits the window of a zstd body, and so the memory of a decoder. RFC 8878 recommends that decoders support
// at least this much.
const maxWindow = 8 << 20

// zstdDecoders are unused decoders. With a concurrency of one they have no goroutines.
var zstdDecoders = sync.Pool{New: func() any {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		panic(err) // the options are wrong
	}
	return decoder
}}

// unzstd decompresses one or more frames. The sizes that frames state are not trusted.
func unzstd(into *bytes.Buffer, compressed []byte, limit int64) error {
	decoder := zstdDecoders.Get().(*zstd.Decoder)
	defer func() {
		_ = decoder.Reset(nil) // fails only if the decoder was closed
		zstdDecoders.Put(decoder)
	}()
	if err := decoder.Reset(bytes.NewReader(compressed)); err != nil {
		return refuse(http.StatusBadRequest, "the body's zstd is damaged")
	}
	err := readAll(into, decoder, nil, limit)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooMuch), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return errDecompressed(limit)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return refuse(http.StatusRequestEntityTooLarge, "the body's zstd needs a window of more than %d bytes: compress it at a lower level", maxWindow)
	case errors.Is(err, zstd.ErrMagicMismatch):
		return refuse(http.StatusBadRequest, "the body is not zstd, though its content encoding says so")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, "the body's zstd ends early")
	default:
		return refuse(http.StatusBadRequest, "the body's zstd is damaged")
	}
}
