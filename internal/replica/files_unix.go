//go:build unix

package replica

import "syscall"

// fileLimit returns how many files the process may have open; 0 if there is no limit.
func fileLimit() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}
