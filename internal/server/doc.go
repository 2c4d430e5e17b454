// Package server implements the REST API over HTTP: routes, access, decoding, and the one place where errors become
// problem documents.
//
// A route's handler has three parts: a reader that decodes the request, a typed endpoint that does the work, and the
// status of the response. Endpoints see neither headers nor bodies; readers do not access stores. The interfaces that
// the API needs are in ports.go. Domain rules are in internal/fleet and internal/report.
package server
