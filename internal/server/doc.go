// Package server implements the REST API over HTTP: it mounts the routes of its resources, authenticates callers, decides
// who may call which route (the table rights, in auth.go), limits requests, and turns errors into responses.
//
// A resource is a package below this one, with its routes and the interfaces that it needs: fleet, ingest, executions,
// reports and traffic. A route's handler consists of a reader, which decodes the request, a method of the resource's API,
// which does the work, and the status of the response. The method sees neither headers nor bodies; the reader does not
// access stores. What the resources share is in endpoint, input and problem. Domain rules are in internal/fleet,
// internal/execution and internal/report.
package server
