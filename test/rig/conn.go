package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// responseTimeout limits a request over a Conn, in addition to the wait of a held poll.
const responseTimeout = 90 * time.Second

// Conn is a kept-alive connection with a minimal HTTP/1.1 client for loads: net/http's client costs more than what it
// would measure. It is not safe for concurrent use.
type Conn struct {
	conn net.Conn
	read *bufio.Reader
	body []byte
}

// Response is an HTTP response. Its Body and ETag are valid until the next request.
type Response struct {
	Status int
	ETag   []byte
	Body   []byte
	Bytes  int  // of the whole response, including its head
	Closes bool // the server closes the connection
}

// Dial connects to host:port.
func Dial(ctx context.Context, address string) (*Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn, read: bufio.NewReaderSize(conn, 4<<10)}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Request returns a request as bytes. Host is the server's; header lines end with \r
// .
func Request(method, path, host, header string, body []byte) []byte {
	return RequestOf(method, path, host, header, "application/json", body)
}

// RequestOf is Request with another content type of the body.
func RequestOf(method, path, host, header, contentType string, body []byte) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, host, header)
	if body != nil {
		b = fmt.Appendf(b, "Content-Length: %d\r\nContent-Type: %s\r\n", len(body), contentType)
	}
	b = append(b, "\r\n"...)
	return append(b, body...)
}

// Do sends a request and reads its response.
func (c *Conn) Do(request []byte) (Response, error) {
	if err := c.Send(request); err != nil {
		return Response{}, err
	}
	return c.response()
}

// Send sends a request whose response is not read. It must be the connection's last one.
func (c *Conn) Send(request []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(responseTimeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(request)
	return err
}

var (
	etagName     = []byte("Etag: ")
	lengthName   = []byte("Content-Length: ")
	chunkedLine  = []byte("Transfer-Encoding: chunked")
	closeLine    = []byte("Connection: close")
	errMalformed = errors.New("the answer is not HTTP/1.1")
)

func (c *Conn) response() (r Response, err error) {
	line, err := c.line(&r)
	if err != nil {
		return r, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return r, errMalformed
	}
	if r.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return r, errMalformed
	}
	length, chunked := 0, false
	for {
		line, err := c.line(&r)
		if err != nil {
			return r, err
		}
		switch {
		case len(line) == 0:
			return r, c.content(&r, length, chunked)
		case bytes.HasPrefix(line, etagName):
			r.ETag = bytes.Clone(line[len(etagName):])
		case bytes.HasPrefix(line, lengthName):
			if length, err = strconv.Atoi(string(line[len(lengthName):])); err != nil || length < 0 || length > 64<<20 {
				return r, errMalformed
			}
		case bytes.Equal(line, chunkedLine):
			chunked = true
		case bytes.Equal(line, closeLine):
			r.Closes = true
		}
	}
}

// line reads one line of the head. It is valid until the next call.
func (c *Conn) line(r *Response) ([]byte, error) {
	line, err := c.read.ReadSlice('\n')
	r.Bytes += len(line)
	return bytes.TrimSuffix(line, []byte("\r\n")), err
}

func (c *Conn) content(r *Response, length int, chunked bool) error {
	c.body = c.body[:0]
	if !chunked {
		return c.append(r, length)
	}
	for {
		line, err := c.line(r)
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return errMalformed
		}
		if err := c.append(r, int(size)); err != nil {
			return err
		}
		if _, err := c.line(r); err != nil || size == 0 {
			return err
		}
	}
}

func (c *Conn) append(r *Response, n int) error {
	from := len(c.body)
	c.body = append(c.body, make([]byte, n)...)
	_, err := io.ReadFull(c.read, c.body[from:])
	r.Body = c.body
	r.Bytes += n
	return err
}
