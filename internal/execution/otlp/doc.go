// Package otlp converts OpenTelemetry traces to executions. It reads OTLP export requests over HTTP, in protobuf and
// JSON, finds the spans of agents, model calls and tools in the conventions of many instrumentations, passes them to
// the ledger, and responds as the protocol requires.
//
// Routes, authentication and the rate limits themselves belong to package httpapi; the validation and storage of
// executions belong to the ledger.
package otlp
