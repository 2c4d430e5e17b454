package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
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
	chain all {
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
		return fmt.Errorf("%w: %w: %s", ErrNoFirewall, err, out)
	}
	return nil
}

// ownNetwork says whether rules that we make are for us alone: whether our network is not that of the machine's first process.
func ownNetwork() bool {
	if os.Geteuid() != 0 {
		return false
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	theirs, initErr := os.Readlink("/proc/1/ns/net")
	return err == nil && initErr == nil && ours != theirs
}
