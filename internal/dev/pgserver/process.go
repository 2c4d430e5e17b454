package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a running child. Its goroutine stays locked to the thread that started it until the child has ended.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it and all processes that hold its output have ended
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		defer lockThread()()
		err := cmd.Start()
		started <- err
		if err == nil {
			release := watchParent(cmd.Process.Pid)
			_ = cmd.Wait() // the process state has the result
			release()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop interrupts the process and waits for its end. It kills the process if ctx ends first.
func (p *process) stop(ctx context.Context) error {
	if err := p.signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	if p.exited() {
		return nil
	}
	err := p.signal(os.Kill)
	<-p.done
	return errors.Join(fmt.Errorf("killed pid %d, which had not stopped in time: %w", p.pid(), context.Cause(ctx)), err)
}

func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to pid %d: %w", sig, p.pid(), err)
	}
	return nil
}

// lockThread locks the calling goroutine to its thread until unlock is called.
func lockThread() (unlock func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// alive reports whether a process with that id exists, of any user.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
