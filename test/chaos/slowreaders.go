package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/test/rig"
)

// slowReaders sends polls with the largest responses and does not read them: first with one agent's token, then as in a
// rollout to many agents over very slow links.
var slowReaders = experiment{
	name:  "slow_readers",
	what:  "180 clients ask for the largest polls and read nothing of the answers",
	quick: true,
	strike: func(ctx context.Context, t *trial) error {
		return t.onEach(ctx, "", func(ctx context.Context, o *overload) error {
			const readers, spec = 180, 256<<10 - 16
			for range 50 {
				if err := o.deploy(ctx, spec, 0); err != nil {
					return err
				}
			}
			if err := o.readSlowly(ctx, "slow_readers", readers, func(int) int { return 0 }); err != nil || o.before || t.quick {
				return err
			}
			all := make([]int, readers)
			for i := range all {
				all[i] = 1 + i
			}
			for range 4 {
				if err := o.deploy(ctx, spec, all...); err != nil {
					return err
				}
			}
			return o.readSlowly(ctx, "slow_rollout", readers, func(i int) int { return 1 + i })
		})
	},
}

// readSlowly has clients poll, each as an agent, and measures the server for some seconds.
func (o *overload) readSlowly(ctx context.Context, name string, readers int, agent func(i int) int) error {
	k := o.watch(ctx)
	defer func() { k.end(name); o.set("rss_under_"+name+"_mib", k.mib(), "MiB") }()
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close() // nothing is to be read
		}
	}()
	for i := range readers {
		conn, err := dialNarrow(ctx, o.server.Address)
		if err != nil {
			return err
		}
		conns = append(conns, conn)
		path, token := o.agent(agent(i))
		if _, err := conn.Write(rig.Request(http.MethodGet, path, o.server.Address, "Authorization: Bearer "+token+"\r\n", nil)); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		if !pause.For(ctx, time.Duration(o.t.repeat(100, 10))*time.Millisecond) {
			return ctx.Err()
		}
	}
	pause.For(ctx, time.Duration(o.t.repeat(20, 2))*time.Second)
	return ctx.Err()
}

// dialNarrow connects with a receive buffer of 4 KiB.
func dialNarrow(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, socket syscall.RawConn) error {
		var err error
		if controlErr := socket.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10)
		}); controlErr != nil {
			return controlErr
		}
		return err
	}}
	return dialer.DialContext(ctx, "tcp", address)
}
