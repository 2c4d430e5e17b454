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

// certificateCheck is how often, at most, a handshake looks whether the files changed.
const certificateCheck = time.Second

// Certificates serve a certificate from two files and read them again when they change, so that a renewed one needs no
// restart. Files that cannot be read or do not fit one another, as in the midst of a renewal, leave the old one in place.
type Certificates struct {
	certFile, keyFile string
	now               func() time.Time
	log               *zap.Logger

	mu      sync.Mutex
	checked time.Time
	seen    [2]stamp // of the files when they were last read, well or not
	current *tls.Certificate
}

// stamp tells a file from what it was.
type stamp struct {
	modified time.Time
	size     int64
}

// LoadCertificates reads the files for the first time, when every fault counts.
func LoadCertificates(certFile, keyFile string, now func() time.Time, log *zap.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, now: now, log: log, checked: now()}
	var err error
	if c.seen, err = c.stamps(); err != nil {
		return nil, fmt.Errorf("look at the TLS certificate: %w", err)
	}
	return c, c.load()
}

// Config makes a server's TLS configuration: TLS 1.2 or newer.
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
	case seen != c.seen: // said once for each state of the files
		c.log.Error("TLS certificate cannot be reloaded; the old one serves on", zap.Error(err))
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
