//go:build uncounted

package telemetry

const counting = false
