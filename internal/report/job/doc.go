// Package job is the protocol between the controller and a report's Pod: Spec, which the Pod gets as JSON in an
// environment variable, and Result, which it returns as its termination message. It does no I/O.
package job
