package pgserver

import "syscall"

// dieWithParent has the kernel send the signal when the thread that starts the program ends.
func killWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}

// watchParent has nothing to do where the kernel watches.
func watchParent(int) (release func()) { return func() {} }
