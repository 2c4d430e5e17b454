// Package redact removes secrets from texts. Text, URL and Query remove what looks like a secret, for logs. Rules mask
// what an operator configures, in payloads before they are stored.
package redact
