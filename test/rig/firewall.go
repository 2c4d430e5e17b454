package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ErrNoFirewall is returned when packets cannot be dropped here.
var ErrNoFirewall = errors.New("packets can be dropped only by root, in a network namespace of its own, with nft")

const firewallTable = "watchbill_rig"

// Silence drops all packets from and to the given TCP ports of loopback, as if the machine had vanished for their
// peers. Dropped packets are not acknowledged, unlike those of a stalled Proxy. Hear ends it.
func Silence(ctx context.Context, ports ...int) error {
	if !ownNetwork() {
		return ErrNoFirewall
	}
	list := make([]string, len(ports))
	for i, port := range ports {
		list[i] = fmt.Sprint(port)
	}
	set := strings.Join(list, ", ")
	return nft(ctx, fmt.Sprintf(`table inet %[1]s
delete table inet %[1]s
table inet %[1]s {
	chain silent {
		type filter hook input priority 0; policy accept;
		tcp dport { %[2]s } drop
		tcp sport { %[2]s } drop
	}
}
`, firewallTable, set))
}

// Hear ends Silence.
func Hear(ctx context.Context) error {
	if !ownNetwork() {
		return nil
	}
	return nft(ctx, fmt.Sprintf("table inet %[1]s\ndelete table inet %[1]s\n", firewallTable))
}

func nft(ctx context.Context, rules string) error {
	program, err := exec.LookPath("nft")
	if err != nil {
		return ErrNoFirewall
	}
	cmd := exec.CommandContext(ctx, program, "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

// ownNetwork reports whether firewall rules affect only this process: whether its network namespace has no other
// network.
func ownNetwork() bool {
	interfaces, err := net.Interfaces()
	return err == nil && os.Geteuid() == 0 && !slices.ContainsFunc(interfaces, func(i net.Interface) bool {
		return i.Flags&net.FlagLoopback == 0
	})
}
