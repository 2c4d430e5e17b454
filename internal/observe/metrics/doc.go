// Package metrics counts what the service does. It has the Recorder of requests and the QueryObserver, which cost
// nanoseconds; the Flusher, which turns their counts into rollups, one per minute; and the Prometheus registry.
//
// It knows neither HTTP handlers nor the database: they call it, and rollups are written to a Store.
package metrics
