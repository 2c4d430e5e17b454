//go:build !linux

package httpapi

import "syscall"

// ListenControl leaves the socket as it is.
func ListenControl(_, _ string, _ syscall.RawConn) error { return nil }
