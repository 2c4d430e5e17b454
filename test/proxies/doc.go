// Package proxies tries the configurations that docs/proxies.md gives for other people's HTTP proxies, each in front of two
// replicas. A proxy that is not installed is skipped.
package proxies
