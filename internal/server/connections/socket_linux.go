package connections

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes of an answer the kernel takes ahead of what the client's window allows it to send. Otherwise
// it takes megabytes for a client that reads nothing, which no budget counts.
const maxUnsent = 128 << 10

// limitUnsent sets the limit on a connection. It is not set on the listener, since that is one of Multipath TCP, from which
// the connections of ordinary clients inherit nothing.
func limitUnsent(conn net.Conn) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // if it fails, the kernel's own limits apply
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
}
