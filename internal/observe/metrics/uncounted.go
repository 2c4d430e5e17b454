//go:build uncounted

package metrics

const counting = false
