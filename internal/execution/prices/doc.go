// Package prices says what executions cost: it reads lists of prices, those that are shipped in makers and hosts and those of
// a file, finds the price that holds for an execution, and multiplies. It is pure: a file comes as bytes.
package prices
