// Package sdk sends spans with OpenTelemetry's SDKs, to test with real clients.
package sdk
