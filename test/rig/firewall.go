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

// ErrNoFirewall says that packets cannot be dropped here.
var ErrNoFirewall = errors.New("packets can be dropped only by root, in a network namespace of its own, with nft")

const firewallTable = "watchbill_rig"

// Silence drops all that goes to or comes from TCP ports of loopback: to whoever is connected, or would be, it is as if the
// machine had vanished. What is dropped is not even acknowledged, unlike by a Proxy that stalls. Hear ends it.
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

// Hear has everything go through again.
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

// ownNetwork says whether rules that we make are for us alone: whether our network leads nowhere else.
func ownNetwork() bool {
	interfaces, err := net.Interfaces()
	return err == nil && os.Geteuid() == 0 && !slices.ContainsFunc(interfaces, func(i net.Interface) bool {
		return i.Flags&net.FlagLoopback == 0
	})
}
