// Package controllers brings the cluster in line with its MonitoringReports. The Reconciler observes a report and its
// objects, decides (decide.go, pure; internal/desired builds the wanted objects), applies, and writes the status.
//
// Invariants:
//
//   - Objects are written in one place (apply.go), by create or server-side apply. Nothing is written if nothing differs.
//   - Objects of other owners are left unchanged and reported.
//   - Errors of a spec are retried when the spec changes. Errors of the cluster are returned and retried with backoff.
//   - Kinds that a cluster may lack (kinds.go) can be added and removed without a restart.
//   - Secrets are never read.
//   - The time is a parameter.
//
// Ready is True if the schedule is applied and the alerts are applied or not required: a cluster without the Prometheus
// operator, or without a Prometheus that selects the rules, still creates reports; Ready's message then includes that
// there are no alerts.
package controllers
