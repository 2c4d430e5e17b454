//go:build !unix

package replica

// fileLimit returns how many files the process may have open; 0 if there is no limit.
func fileLimit() uint64 { return 0 }
