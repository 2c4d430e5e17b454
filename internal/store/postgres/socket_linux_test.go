package postgres_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestConnectionBreaksBeforeAcknowledgement checks the socket option in the kernel, since the tests of this
// package cannot make a host vanish. The fault host_vanished of test/chaos shows that it matters.
func TestConnectionBreaksBeforeAcknowledgement(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	config, err := postgres.ConnConfig("postgres://u@h/d")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := config.DialFunc(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var optionErr error
	if err := raw.Control(func(fd uintptr) {
		got, optionErr = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}); err != nil || optionErr != nil {
		t.Fatal(err, optionErr)
	}
	if want := 5 * time.Second; time.Duration(got)*time.Millisecond != want {
		t.Errorf("TCP_USER_TIMEOUT: want %s, got %d ms", want, got)
	}
}
