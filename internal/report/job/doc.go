// Package job is what the controller and the Pod that makes a report agree on: what the Pod is to do (Spec), which it
// gets as JSON in an environment variable, and what came of it (Result), which it leaves as its termination message. It is
// pure.
package job
