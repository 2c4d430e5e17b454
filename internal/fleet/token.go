package fleet

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
)

// TokenHash is the SHA-256 of a token; tokens themselves are not stored. A token has 256 random bits, so a hash without a
// salt cannot be reversed by search.
type TokenHash [sha256.Size]byte

// TokenPrefix starts every agent token, so that secret scanners and Watchbill's redaction recognize it.
const TokenPrefix = "wba_"

// NewToken returns an agent's token drawn from random.
func NewToken(random io.Reader) (string, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", fmt.Errorf("draw a token: %w", err)
	}
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:]), nil
}

// HashToken returns the hash of a token. It is on the path of every poll, so it does not allocate for tokens of NewToken.
func HashToken(token string) TokenHash {
	var buf [64]byte
	return sha256.Sum256(append(buf[:0], token...))
}

// Equal compares hashes in constant time.
func (h TokenHash) Equal(other TokenHash) bool {
	return subtle.ConstantTimeCompare(h[:], other[:]) == 1
}
