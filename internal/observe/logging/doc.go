// Package logging writes JSON logs: of the application, requests, queries and security events. It redacts secrets,
// queues lines so that a slow output does not block callers, and rotates files.
package logging
