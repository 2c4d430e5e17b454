// Package rules generates Prometheus recording and alerting rules from a report's objectives: the rule file that the
// controller installs and `watchbill rules` prints. It does no I/O.
//
// An alert uses the same figure as the report's verdict, over its own windows; docs/objectives.md has the formulas. Tests
// parse the rules of every kind of objective with Prometheus' parser, including hostile text. Tests returns unit tests for
// promtool that show each alert firing, resolving and staying silent when it should.
//
// User input (routes, agent names, labels) is inserted into expressions and templates only by quote.go.
package rules
