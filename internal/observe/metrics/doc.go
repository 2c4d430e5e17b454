// Package metrics counts what the service does: the recorder of requests and the observer of queries, whose cost is
// nanoseconds; the flusher that turns what they saw into rollups, a minute at a time; and the Prometheus registry.
//
// It knows neither HTTP handlers nor the database: whoever serves or queries calls it, and rollups leave through Store.
package metrics
