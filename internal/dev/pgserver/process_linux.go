package pgserver

import "syscall"

// dieWithParent makes the kernel send the signal when the thread that starts the program ends.
func dieWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}

// watchParent does nothing: the kernel does it. See dieWithParent.
func watchParent(int) (release func()) { return func() {} }
