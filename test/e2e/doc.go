// Package e2e tests Watchbill as users have it: installed with its chart in a real Kubernetes and monitored by a real
// Prometheus. The tests have the build tag e2e; `make e2e` runs them. See docs/e2e.md.
package e2e
