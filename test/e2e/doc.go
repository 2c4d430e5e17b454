// Package e2e tests Watchbill as its users have it: installed by its chart in a real Kubernetes, watched by a real
// Prometheus. Its tests have the build tag e2e; `make e2e` runs them. How is in docs/e2e.md.
package e2e
