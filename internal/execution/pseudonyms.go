package execution

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/redact"
)

// Limits of the keys of pseudonyms.
const (
	minKey  = 32 // bytes
	maxKeys = 8
)

// A pseudonym is a prefix and the base32 of a digest and of its checksum. The keyed checksum distinguishes it from
// names, so clients cannot forge one.
const (
	pseudonymPrefix = "p_"
	digestSize      = 15 // bytes
	checksumSize    = 5
)

var pseudonymEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// Pseudonyms replaces the ids of users, sessions and requests by keyed digests. A user has the same pseudonym in all
// figures, and cannot be identified without the key. Replacing is idempotent. A nil Pseudonyms keeps all names.
type Pseudonyms struct {
	keys   [][]byte // the first makes new pseudonyms; all recognize stored ones
	redact redact.Rules
}

// NewPseudonyms parses keys, one a line; blank lines are ignored. In the names of agents and variants, which are
// programs, it masks what redact finds anywhere. No error contains a key.
func NewPseudonyms(keys string, rules redact.Rules) (*Pseudonyms, error) {
	p := &Pseudonyms{redact: rules.Anywhere()}
	n := 0
	for line := range strings.Lines(keys) {
		n++
		key := []byte(strings.TrimSpace(line))
		switch {
		case len(key) == 0:
			continue
		case len(key) < minKey:
			return nil, fmt.Errorf("line %d: a key must have at least %d characters; make one with: openssl rand -hex 32", n, minKey)
		case slices.ContainsFunc(p.keys, func(other []byte) bool { return string(other) == string(key) }):
			return nil, fmt.Errorf("line %d: the key is duplicated", n)
		}
		p.keys = append(p.keys, key)
	}
	switch {
	case len(p.keys) == 0:
		return nil, errors.New("has no key; make one with: openssl rand -hex 32")
	case len(p.keys) > maxKeys:
		return nil, fmt.Errorf("must have at most %d keys", maxKeys)
	}
	return p, nil
}

// User returns the pseudonym to store instead of a user's id.
func (p *Pseudonyms) User(id string) string {
	if p == nil {
		return id
	}
	return p.of("user", id)
}

// Users returns all that may be stored instead of a user's id: the pseudonym by each key, and the id itself from before
// pseudonyms were enabled.
func (p *Pseudonyms) Users(id string) []string { return p.all("user", id) }

// Sessions is like Users for the id of a session.
func (p *Pseudonyms) Sessions(id string) []string { return p.all("session", id) }

func (p *Pseudonyms) all(kind, name string) []string {
	if p == nil || name == "" || name == Unknown || p.made(kind, name) {
		return []string{name}
	}
	var all []string
	for _, key := range p.keys {
		all = append(all, pseudonym(key, kind, name))
	}
	return append(all, name)
}

// Replace replaces the names of an execution. Ids of executions and traces are kept, since programs generate them.
func (p *Pseudonyms) Replace(e *Execution) {
	if p == nil {
		return
	}
	e.UserID, e.SessionID = p.of("user", e.UserID), p.of("session", e.SessionID)
	if e.RequestID != e.ID && e.RequestID != e.TraceID {
		e.RequestID = p.of("request", e.RequestID)
	}
	e.AgentName, e.Variant = p.program(e.AgentName), p.program(e.Variant)
}

// ReplaceIn replaces the names of a span.
func (p *Pseudonyms) ReplaceIn(s *Span) {
	if p == nil {
		return
	}
	s.User, s.Session, s.Agent = p.of("user", s.User), p.of("session", s.Session), p.program(s.Agent)
}

// of returns the pseudonym of a name. It keeps "" and Unknown, which name nobody.
func (p *Pseudonyms) of(kind, name string) string {
	if name == "" || name == Unknown || p.made(kind, name) {
		return name
	}
	return pseudonym(p.keys[0], kind, name)
}

// program returns a program's name with what rules find masked.
func (p *Pseudonyms) program(name string) string {
	masked := p.redact.Text(name)
	if masked == name || len(masked) <= MaxName {
		return masked
	}
	return p.redact.Shorten(masked, func(s string) string {
		end := min(len(s), MaxName)
		for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
			end--
		}
		return s[:end]
	})
}

// made reports whether a name is a pseudonym by one of the keys.
func (p *Pseudonyms) made(kind, name string) bool {
	encoded, found := strings.CutPrefix(name, pseudonymPrefix)
	if !found || len(encoded) != pseudonymEncoding.EncodedLen(digestSize+checksumSize) {
		return false
	}
	digest, err := pseudonymEncoding.DecodeString(strings.ToUpper(encoded))
	return err == nil && encoded == strings.ToLower(encoded) && slices.ContainsFunc(p.keys, func(key []byte) bool {
		return subtle.ConstantTimeCompare(checksum(key, kind, digest[:digestSize]), digest[digestSize:]) == 1
	})
}

func pseudonym(key []byte, kind, name string) string {
	digest := keyed(key, kind, []byte(name))[:digestSize]
	digest = append(digest, checksum(key, kind, digest)...)
	return pseudonymPrefix + strings.ToLower(pseudonymEncoding.EncodeToString(digest))
}

func checksum(key []byte, kind string, digest []byte) []byte {
	return keyed(key, kind+" checksum", digest)[:checksumSize]
}

// keyed returns the HMAC of a message of a kind.
func keyed(key []byte, kind string, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(kind + "\x00"))
	mac.Write(message)
	return mac.Sum(nil)
}
