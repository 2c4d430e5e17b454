// Package rules makes Prometheus' rules of a report's objectives: what is recorded, and what is alerted about. It is pure:
// a report comes in, and the rule file that the controller installs and `watchbill rules` prints goes out.
//
// An alert is about the same figure as the report's verdict, over windows of its own; docs/objectives.md has the formulas.
// Prometheus takes what Build returns: tests have its own parser read the rules of every kind of objective, also with hostile
// text in them. Tests returns unit tests for promtool that show each alert firing, resolving, and keeping quiet where it
// should.
//
// What people wrote (routes, names of agents, labels) goes into expressions and templates through quote.go alone.
package rules
