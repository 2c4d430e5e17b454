// Package session has the sessions of people who signed in from a browser: a signed cookie instead of a token.
//
// A cookie holds everything about its session: an id, when it expires, a fingerprint of the token that it was exchanged
// for, and a signature. Replicas share the signing keys and the sessions that were signed out through a Store, so every
// replica verifies every session, from memory. The package knows no SQL and no HTTP.
package session
