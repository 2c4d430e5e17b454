//go:build !linux

package postgres

import "syscall"

// breakUnacknowledged leaves it to these kernels when they take a connection for broken.
func breakUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }
