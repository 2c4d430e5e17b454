package session

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

const (
	// CodeLifetime is how long a sign-in code is valid.
	CodeLifetime = 5 * time.Minute
	maxCodes     = 16 // valid at a time; older ones are dropped
)

// Codes are sign-in codes: each may be exchanged once for a session, in place of a token. They are known only to the
// process that issued them. It is safe for concurrent use.
type Codes struct {
	now    func() time.Time
	random io.Reader

	mu     sync.Mutex
	issued []issuedCode // oldest first
}

type issuedCode struct {
	hash    [sha256.Size]byte
	token   fleet.TokenHash
	expires time.Time
}

// NewCodes returns Codes that are drawn from random, which must be cryptographically strong.
func NewCodes(now func() time.Time, random io.Reader) *Codes { return &Codes{now: now, random: random} }

// Issue returns a new code that can be exchanged for a token.
func (c *Codes) Issue(token fleet.TokenHash) (string, error) {
	var secret [32]byte
	if _, err := io.ReadFull(c.random, secret[:]); err != nil {
		return "", fmt.Errorf("draw a sign-in code: %w", err)
	}
	code := base64.RawURLEncoding.EncodeToString(secret[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.issued) >= maxCodes {
		c.issued = c.issued[1:]
	}
	c.issued = append(c.issued, issuedCode{sha256.Sum256([]byte(code)), token, c.now().Add(CodeLifetime)})
	return code, nil
}

// Redeem returns the token for a code, and invalidates the code. ok is false if the code is not valid. Codes may be
// nil, which issued none.
func (c *Codes) Redeem(code string) (token fleet.TokenHash, ok bool) {
	if c == nil {
		return token, false
	}
	hash := sha256.Sum256([]byte(code))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, issued := range c.issued {
		if issued.hash == hash { // hashes of 256 random bits: the time to compare them reveals nothing of use
			c.issued = append(c.issued[:i], c.issued[i+1:]...)
			return issued.token, c.now().Before(issued.expires)
		}
	}
	return token, false
}
