//go:build !linux

package pgserver

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// dieWithParent cannot be asked of these kernels; see watchParent.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// watchParent starts a shell that interrupts the process once the pipe from us closes, which it does however we end.
// A failure is left at that: the watch is a precaution, and Stop does not rest on it.
func watchParent(pid int) (release func()) {
	watch := exec.Command("/bin/sh", "-c", `read -r _; kill -INT "$0"`, strconv.Itoa(pid))
	watch.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	reader, writer, err := os.Pipe()
	if err != nil {
		return func() {}
	}
	watch.Stdin = reader
	err = watch.Start()
	_ = reader.Close()
	if err != nil {
		_ = writer.Close()
		return func() {}
	}
	return func() {
		_ = watch.Process.Kill() // before the pipe closes: the pid may be somebody else's by now
		_ = watch.Wait()
		_ = writer.Close()
	}
}
