// Package controllers keeps the cluster what its MonitoringReports say. The Reconciler observes a report and what stands of
// it, decides (decide.go, pure; what things are to be comes from internal/kube/desired), applies, and writes the status.
//
// Rules that hold here: objects are written in one place (apply.go), created or by server-side apply, and nothing is written
// while all is as it should be. What we do not own is left alone and reported. Faults of a spec wait for the spec to change;
// faults of the cluster are returned, and retried with growing pauses. Kinds that a cluster may lack (kinds.go) come and go without a
// restart. Secrets are never read. What time it is comes in.
//
// Ready is True while the schedule stands and the alerts stand or need not: a cluster without the Prometheus operator, or
// without a Prometheus that takes the rules, still makes reports; Ready's message then says that no alert will come.
package controllers
