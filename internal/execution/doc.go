// Package execution is the domain of AI agents' executions: their fields and limits, masking, and the figures that they add
// up to. It does no I/O and reads no clock.
//
// Prices are in the package prices below it. How executions arrive (REST, OpenTelemetry, the gateway) and how they are
// stored is the concern of other packages.
package execution
