package connections

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes of a response the kernel buffers beyond what the client's window allows it to send. By
// default it buffers megabytes for a client that reads nothing, which no budget counts.
const maxUnsent = 128 << 10

// limitUnsent sets the limit on a connection. It cannot be set on the listener, which uses Multipath TCP: connections
// of ordinary TCP clients do not inherit the option from it.
func limitUnsent(conn net.Conn) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // if it fails, the kernel's default applies
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
}
