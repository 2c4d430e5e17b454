// Package sloth runs the rules that github.com/slok/sloth makes of an objective and those of Watchbill on the same series, and
// compares when they alert. The table in docs/objectives.md is what comes of it: go test ./test/sloth -update writes it.
package sloth
