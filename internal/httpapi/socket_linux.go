package httpapi

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxUnsent is how many bytes of an answer the kernel takes ahead of what the client's window allows it to send. Otherwise
// it takes megabytes for a client that reads nothing, which no budget counts. Connections inherit it from their listener.
const maxUnsent = 128 << 10

// ListenControl sets the options of the API's listening socket, for a net.ListenConfig.
func ListenControl(network, _ string, socket syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var err error
	controlErr := socket.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
	if err == nil {
		err = controlErr
	}
	if err != nil {
		return fmt.Errorf("set TCP_NOTSENT_LOWAT: %w", err)
	}
	return nil
}
