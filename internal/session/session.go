package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Lifetime is how long a session lasts.
const Lifetime = 12 * time.Hour

// ID identifies a session. It is random. It grants nothing: a cookie needs a signature as well.
type ID [16]byte

// Session is a verified session.
type Session struct {
	ID      ID
	Expires time.Time
	// CSRFToken is required in a header of every write. Another site cannot read it.
	CSRFToken string
}

// Fingerprint names the session in logs.
func (s *Session) Fingerprint() string {
	sum := sha256.Sum256(s.ID[:])
	return hex.EncodeToString(sum[:8])
}

// HasCSRFToken reports whether a token is the session's CSRF token, in constant time.
func (s *Session) HasCSRFToken(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.CSRFToken)) == 1
}

// Secret is a key. It has no text form, so that it does not get into a log by accident.
type Secret [32]byte

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// Key signs the sessions that begin on a day.
type Key struct {
	Day    int32 // days since 1970-01-01, UTC
	Secret Secret
}

// sum returns the HMAC of data for a purpose.
func (k *Key) sum(purpose string, data []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, k.Secret[:])
	mac.Write([]byte(purpose))
	mac.Write([]byte{0})
	mac.Write(data)
	return [sha256.Size]byte(mac.Sum(nil))
}

// fingerprint returns the fingerprint of a token, which reveals nothing about it without the key.
func (k *Key) fingerprint(token fleet.TokenHash) (f fingerprint) {
	sum := k.sum("token", token[:])
	copy(f[:], sum[:])
	return f
}

type fingerprint [16]byte

// The layout of a cookie, before it is encoded: the signed part and its signature.
const (
	version = 1

	atDay     = 1
	atID      = atDay + 4
	atExpires = atID + 16
	atToken   = atExpires + 8
	signed    = atToken + 16
	size      = signed + sha256.Size
)

var encoding = base64.RawURLEncoding.Strict()

// cookie is a decoded cookie. Its signature is not verified.
type cookie [size]byte

// parse decodes a cookie. Strings that were not encoded by text are rejected.
func parse(text string) (c cookie, ok bool) {
	if len(text) != encoding.EncodedLen(size) {
		return c, false
	}
	n, err := encoding.Decode(c[:], []byte(text))
	return c, err == nil && n == size && c[0] == version
}

func (c *cookie) text() string { return encoding.EncodeToString(c[:]) }
func (c *cookie) day() int32   { return int32(binary.BigEndian.Uint32(c[atDay:])) }
func (c *cookie) id() ID       { return ID(c[atID:]) }
func (c *cookie) expires() time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(c[atExpires:])), 0)
}

// sign returns the cookie of a session.
func (k *Key) sign(id ID, expires time.Time, token fleet.TokenHash) cookie {
	var c cookie
	c[0] = version
	binary.BigEndian.PutUint32(c[atDay:], uint32(k.Day))
	copy(c[atID:], id[:])
	binary.BigEndian.PutUint64(c[atExpires:], uint64(expires.Unix()))
	f := k.fingerprint(token)
	copy(c[atToken:], f[:])
	sum := k.sum("session", c[:signed])
	copy(c[signed:], sum[:])
	return c
}

// signed reports whether the key signed the cookie.
func (k *Key) signed(c *cookie) bool {
	sum := k.sum("session", c[:signed])
	return hmac.Equal(sum[:], c[signed:])
}

// isOf reports whether the cookie was exchanged for one of the tokens. Its running time depends only on their number.
func (k *Key) isOf(c *cookie, tokens []fleet.TokenHash) bool {
	found := 0
	for _, token := range tokens {
		f := k.fingerprint(token)
		found |= subtle.ConstantTimeCompare(f[:], c[atToken:signed])
	}
	return found == 1
}

// session returns the session of a cookie that the key signed.
func (k *Key) session(c *cookie) *Session {
	id := c.id()
	sum := k.sum("csrf", id[:])
	return &Session{ID: id, Expires: c.expires(), CSRFToken: encoding.EncodeToString(sum[:])}
}
