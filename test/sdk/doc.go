// Package sdk sends spans with OpenTelemetry's own SDKs, for tests that real clients are understood.
package sdk
