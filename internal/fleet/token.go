package fleet

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
)

// TokenHash is the SHA-256 of a token: all that is ever stored of it. A token has 256 random bits, so a plain hash
// cannot be searched.
type TokenHash [sha256.Size]byte

// TokenPrefix starts every agent token, so that secret scanners and our own redaction know one.
const TokenPrefix = "wba_"

// NewToken draws an agent's token from random.
func NewToken(random io.Reader) (string, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", fmt.Errorf("draw a token: %w", err)
	}
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:]), nil
}

// HashToken is the hash under which a token is known. Every poll pays for it, so it allocates nothing for a token of ours.
func HashToken(token string) TokenHash {
	var buf [64]byte
	return sha256.Sum256(append(buf[:0], token...))
}

// Equal compares in constant time.
func (h TokenHash) Equal(other TokenHash) bool {
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}
