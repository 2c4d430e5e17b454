// Package proxies tests the configurations of third-party HTTP proxies in docs/proxies.md, each in front of two
// replicas. It skips proxies that are not installed.
package proxies
