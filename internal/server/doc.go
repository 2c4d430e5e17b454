// Package server implements the REST API over HTTP: it mounts the routes of its resources, authenticates callers, decides
// who may call what (one table, in auth.go), limits requests, and responds to errors.
//
// A resource is a package below this one, with its routes and the interfaces that it needs: fleet, ingest, executions,
// reports and traffic. A route's handler has three parts: a reader that decodes the request, a typed endpoint that does
// the work, and the status of the response. Endpoints see neither headers nor bodies; readers do not access stores.
// What the resources share is in endpoint, input and problem. Domain rules are in internal/fleet and internal/report.
package server
