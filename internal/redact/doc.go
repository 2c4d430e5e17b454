// Package redact takes secrets out of texts. Text, URL and Query take out what looks like a secret, as logs need. Rules
// mask what an operator names, in payloads before they are stored.
package redact
