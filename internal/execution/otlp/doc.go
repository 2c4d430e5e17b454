// Package otlp makes executions of OpenTelemetry traces. It reads the export requests of OTLP over HTTP, protobuf and JSON,
// finds the spans of agents, model calls and tools in whatever names their instrumentation gives things, hands them to the
// ledger, and answers as the protocol says.
//
// Routes, authentication and the limits of rate themselves are httpapi's; what an execution may be, and what becomes of it, the ledger's.
package otlp
