package connections

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// certificateCheck is the minimum interval at which handshakes check whether the files changed.
const certificateCheck = time.Second

// Certificates serves a certificate from two files and reloads them when they change, so that a renewal needs no
// restart. While the files cannot be read or do not match, as during a renewal, the old certificate is served.
type Certificates struct {
	certFile, keyFile string
	now               func() time.Time
	log               *zap.Logger

	mu      sync.Mutex
	checked time.Time
	seen    [2]stamp // of the files when they were last read, successfully or not
	current *tls.Certificate
}

// stamp identifies a version of a file.
type stamp struct {
	modified time.Time
	size     int64
}

// LoadCertificates returns the Certificates of two files. It returns an error if the files cannot be loaded.
func LoadCertificates(certFile, keyFile string, now func() time.Time, log *zap.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, now: now, log: log, checked: now()}
	var err error
	if c.seen, err = c.stamps(); err != nil {
		return nil, fmt.Errorf("look at the TLS certificate: %w", err)
	}
	return c, c.load()
}

// Config returns a TLS configuration for servers, with TLS 1.2 or newer.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
}

func (c *Certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		c.refresh()
	}
	return c.current, nil
}

func (c *Certificates) refresh() {
	seen, err := c.stamps()
	if err == nil && seen == c.seen {
		return
	}
	if err == nil {
		err = c.load()
	}
	switch {
	case err == nil:
		c.log.Info("TLS certificate reloaded", zap.String("file", c.certFile))
	case seen != c.seen: // logged once for each version of the files
		c.log.Error("cannot reload the TLS certificate; the old one stays in use", zap.Error(err))
	}
	c.seen = seen
}

func (c *Certificates) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("load the TLS certificate: %w", err)
	}
	c.current = &pair
	return nil
}

func (c *Certificates) stamps() (stamps [2]stamp, err error) {
	for i, file := range []string{c.certFile, c.keyFile} {
		var info fs.FileInfo
		if info, err = os.Stat(file); err != nil {
			return [2]stamp{}, err
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}
