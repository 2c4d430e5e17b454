//go:build !linux

package connections

import "net"

// limitUnsent does nothing on these systems.
func limitUnsent(net.Conn) {}
