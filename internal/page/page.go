// Package page serves the web page: its shell at / and below /ui/, and its scripts and styles at /ui/assets/.
//
// The page is built from the folder web by `make page` into dist, which is embedded. Its files are embedded compressed.
package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

// built has the page, or nothing but .gitignore if the program was built without Node.js.
//
//go:embed all:dist
var built embed.FS

const (
	prefix = "/ui/"
	hashed = "/ui/assets/" // files whose names change with their contents
	shell  = "/ui/index.html"

	absent = "The web page is not part of this program: install Node.js 20.19 or newer and build it with `make build`.\n"
)

// policy lets the page load only what this server serves, and nobody embed it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// asset is a file of the page.
type asset struct {
	mediaType string
	cache     string
	tag       string            // a weak ETag, the same for every encoding
	encoded   map[string][]byte // by Content-Encoding
}

// Page is the http.Handler of the page.
type Page struct {
	assets  map[string]asset // by path
	next    http.Handler
	observe Observer
	now     func() time.Time
}

// Observer is called after each response of the page, with the number of bytes of its body.
type Observer func(r *http.Request, status int, bytes int64, took time.Duration)

// New returns a handler that serves the page, and everything outside of it by next.
func New(next http.Handler, observe Observer, now func() time.Time) (*Page, error) {
	files, err := fs.Sub(built, "dist")
	if err != nil {
		return nil, fmt.Errorf("open the web page: %w", err)
	}
	return load(files, next, observe, now)
}

// load reads the files NAME.gz and NAME.br.
func load(files fs.FS, next http.Handler, observe Observer, now func() time.Time) (*Page, error) {
	p := &Page{assets: map[string]asset{}, next: next, observe: observe, now: now}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		plain, encoding := cutEncoding(name)
		if encoding == "" {
			return nil
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		p.add(prefix+plain, encoding, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the web page: %w", err)
	}
	for at, a := range p.assets {
		if a.encoded["gzip"] == nil {
			return nil, fmt.Errorf("read the web page: %s.gz is missing", strings.TrimPrefix(at, prefix))
		}
	}
	return p, nil
}

func cutEncoding(name string) (plain, encoding string) {
	if plain, ok := strings.CutSuffix(name, ".gz"); ok {
		return plain, "gzip"
	}
	if plain, ok := strings.CutSuffix(name, ".br"); ok {
		return plain, "br"
	}
	return name, ""
}

func (p *Page) add(at, encoding string, body []byte) {
	a, ok := p.assets[at]
	if !ok {
		a = asset{mediaType: mediaType(at), cache: "no-cache", encoded: map[string][]byte{}}
		if strings.HasPrefix(at, hashed) {
			a.cache = "public, max-age=31536000, immutable"
		}
	}
	a.encoded[encoding] = body
	if encoding == "gzip" {
		sum := sha256.Sum256(body)
		a.tag = `W/"` + hex.EncodeToString(sum[:12]) + `"`
	}
	p.assets[at] = a
}

// mediaType does not depend on the machine's own table for the types that the page has.
func mediaType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		if known := mime.TypeByExtension(ext); known != "" {
			return known
		}
		return "application/octet-stream"
	}
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := r.URL.Path
	if at != "/" && !strings.HasPrefix(at, prefix) {
		p.next.ServeHTTP(w, r)
		return
	}
	start := p.now()
	counted := &countedResponse{ResponseWriter: w, status: http.StatusOK}
	p.serve(counted, r)
	p.observe(r, counted.status, counted.bytes, p.now().Sub(start))
}

// countedResponse keeps what was sent.
type countedResponse struct {
	http.ResponseWriter

	status int
	bytes  int64
}

func (c *countedResponse) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *countedResponse) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes += int64(n)
	return n, err
}

func (p *Page) serve(w http.ResponseWriter, r *http.Request) {
	at := r.URL.Path
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
	switch a, ok := p.find(at); {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "method_not_allowed", "method not allowed; use GET or HEAD")
	case len(p.assets) == 0:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, absent) // the client is gone if it fails
	case !ok:
		refuse(w, http.StatusNotFound, "not_found", "there is nothing at this path")
	default:
		a.serve(w, r)
	}
}

// find returns the file at a path. The page itself resolves all paths that are no files: they have the shell.
func (p *Page) find(at string) (asset, bool) {
	if a, ok := p.assets[at]; ok {
		return a, true
	}
	if strings.HasPrefix(at, hashed) {
		return asset{}, false // of another version: a script is expected, not HTML
	}
	a, ok := p.assets[shell]
	return a, ok
}

func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.mediaType)
	header.Set("Cache-Control", a.cache)
	header.Set("Vary", "Accept-Encoding")
	header.Set("ETag", a.tag)
	if matches(r.Header.Values("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	accepted := strings.Join(r.Header.Values("Accept-Encoding"), ",")
	for _, encoding := range []string{"br", "gzip"} {
		if body := a.encoded[encoding]; body != nil && accepts(accepted, encoding) {
			header.Set("Content-Encoding", encoding)
			header.Set("Content-Length", strconv.Itoa(len(body)))
			if r.Method == http.MethodGet {
				_, _ = w.Write(body) // the client is gone if it fails
			}
			return
		}
	}
	if r.Method == http.MethodHead {
		return
	}
	body, err := gzip.NewReader(bytes.NewReader(a.encoded["gzip"]))
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal", "the page cannot be read")
		return
	}
	_, _ = io.Copy(w, body) // the client is gone if it fails
}

// matches reports whether an If-None-Match header names a weak tag.
func matches(values []string, tag string) bool {
	opaque := strings.TrimPrefix(tag, "W/")
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == opaque {
				return true
			}
		}
	}
	return false
}

// accepts reports whether an Accept-Encoding header names an encoding with a weight above 0. "*" is not taken for it:
// a client that knows the encoding names it.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		weight, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
		if !ok {
			return true
		}
		q, err := strconv.ParseFloat(weight, 64)
		return err == nil && q > 0
	}
	return false
}

func refuse(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	problem := openapi.Problem{Type: "about:blank", Title: http.StatusText(status), Status: int32(status), Code: code, Detail: detail}
	_ = json.NewEncoder(w).Encode(problem) // the client is gone if it fails
}
