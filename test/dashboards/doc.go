// Package dashboards tests that each query of the chart's Grafana dashboards finds data: a server under a workload is
// scraped by the oldest supported Prometheus, which also evaluates the rules of a MonitoringReport.
package dashboards
