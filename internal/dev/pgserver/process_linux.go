package pgserver

import "syscall"

// killWithParent makes the kernel send the signal when the thread that starts the program ends.
func killWithParent(attr *syscall.SysProcAttr, sig syscall.Signal) {
	attr.Pdeathsig = sig
}

// watchParent does nothing: the kernel does it. See killWithParent.
func watchParent(int) (release func()) { return func() {} }
