// Package prices computes what executions cost. It parses price lists, the shipped ones in makers and hosts and a file of the
// operator's, finds the price that applies to an execution (List.Price), and computes the cost (cost.go). It does no I/O:
// callers pass the file's content.
package prices
