//go:build !linux

package pgserver

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// killWithParent does nothing: these kernels lack it. See watchParent.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// watchParent starts a shell that interrupts the process when the pipe from this process closes, however this process
// ends. Errors are ignored: it is a precaution, and Stop does not depend on it.
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
		_ = watch.Process.Kill() // before the pipe closes: the pid may have been reused
		_ = watch.Wait()
		_ = writer.Close()
	}
}
