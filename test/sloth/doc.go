// Package sloth evaluates the rules that github.com/slok/sloth makes for an objective and those of Watchbill on the
// same series, and compares when they alert. The result is the table in docs/objectives.md, which go test ./test/sloth
// -update writes.
package sloth
