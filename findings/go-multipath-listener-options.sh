#!/usr/bin/env bash
# Some TCP options that a Go server sets on its listener do not reach the accepted connections, or cannot be set at all,
# since the listener is a Multipath TCP socket.
#
# Seen with Go 1.26.8 on Linux 6.18 (net.mptcp.enabled=1, the default), golang.org/x/sys v0.49.0.
#
# net.Listen makes Multipath TCP sockets where the kernel has them, since Go 1.24. On such a listener
#   TCP_USER_TIMEOUT   is refused: "protocol not available";
#   TCP_NOTSENT_LOWAT  is taken without an error, but accepted connections have the system's default;
#   TCP_KEEPIDLE       is taken and inherited.
# The client spoke plain TCP, and with ListenConfig.SetMultipathTCP(false) all three are taken and inherited, as before
# Go 1.24. So a server has to set such options on each accepted connection.
set -euo pipefail
[[ $(uname) == Linux && $(sysctl -n net.mptcp.enabled 2>/dev/null) == 1 ]] || { echo "needs Linux with net.mptcp.enabled=1"; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// try returns what setting an option on a listener said, and what an accepted connection has.
func try(multipath bool, option, value int) (refused error, inherited int) {
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, option, value) })
	}}
	if !multipath {
		config.SetMultipathTCP(false) // the default is true
	}
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	must(err)
	defer listener.Close()
	dialer := net.Dialer{}
	dialer.SetMultipathTCP(false)
	client, err := dialer.Dial("tcp", listener.Addr().String())
	must(err)
	defer client.Close()
	accepted, err := listener.Accept()
	must(err)
	defer accepted.Close()
	raw, err := accepted.(*net.TCPConn).SyscallConn()
	must(err)
	must(raw.Control(func(fd uintptr) {
		inherited, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option)
		must(err)
	}))
	return refused, inherited
}

func main() {
	for _, option := range []struct {
		name         string
		number, want int
	}{{"TCP_NOTSENT_LOWAT", unix.TCP_NOTSENT_LOWAT, 131072}, {"TCP_USER_TIMEOUT", unix.TCP_USER_TIMEOUT, 5000}, {"TCP_KEEPIDLE", unix.TCP_KEEPIDLE, 77}} {
		for _, multipath := range []bool{true, false} {
			refused, got := try(multipath, option.number, option.want)
			fmt.Printf("%s multipath=%t set: %v inherited: %t\n", option.name, multipath, refused, got == option.want)
		}
	}
}
GO
cat >go.mod <<'MOD'
module finding

go 1.26

require golang.org/x/sys v0.49.0
MOD
go mod tidy >/dev/null 2>&1
got=$(go run .)
want='TCP_NOTSENT_LOWAT multipath=true set: <nil> inherited: false
TCP_NOTSENT_LOWAT multipath=false set: <nil> inherited: true
TCP_USER_TIMEOUT multipath=true set: protocol not available inherited: false
TCP_USER_TIMEOUT multipath=false set: <nil> inherited: true
TCP_KEEPIDLE multipath=true set: <nil> inherited: true
TCP_KEEPIDLE multipath=false set: <nil> inherited: true'
echo "$got"
[[ $got == "$want" ]] || { echo "this has changed; it was:"; echo "$want"; exit 1; }
