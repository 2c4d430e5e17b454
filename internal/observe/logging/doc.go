// Package logging writes JSON logs: the application's, of requests, of queries and of security. It takes secrets out,
// queues lines so that a slow output holds nobody up, and rotates files.
package logging
