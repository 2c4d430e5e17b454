//go:build !uncounted

package metrics

// counting is false in a program that exists to measure what counting costs.
const counting = true
