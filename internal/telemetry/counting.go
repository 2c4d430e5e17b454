//go:build !uncounted

package telemetry

// counting is false in a program that exists to measure what counting costs.
const counting = true
