//go:build !uncounted

package metrics

// counting is false only in a build that measures the cost of counting.
const counting = true
