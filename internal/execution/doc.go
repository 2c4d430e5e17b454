// Package execution is what is known of AI agents' executions: what one is, what it may say, what it costs, and how many
// of them add up to figures. It is pure: no I/O, no clock.
//
// Where executions come from (REST, OpenTelemetry, the gateway) and how they are kept is no matter of this package.
package execution
