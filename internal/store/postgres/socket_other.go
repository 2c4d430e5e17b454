//go:build !linux

package postgres

import "syscall"

// breakUnacknowledged does nothing: the kernel's defaults apply.
func breakUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }
