// Package server is the REST contract over HTTP: routes, who may call them, decoding, and the one place where errors
// become problem documents.
//
// A route's endpoint is three things: what reads its request off the wire, a typed function that does the work, and the
// status of its answer. Endpoints know neither headers nor bodies, readers know no stores. What the API needs of the
// world is in ports.go; rules of the domain live in internal/fleet and internal/report, not here.
package server
