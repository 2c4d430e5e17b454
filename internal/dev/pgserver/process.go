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

// process is a running child. Its goroutine keeps the thread that started it until it has ended.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it and whatever holds its output have ended
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
			_ = cmd.Wait() // the process state says how it ended
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

// stop interrupts the process and waits for its end, which it forces when ctx ends first.
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

// lockThread ties the calling goroutine to its thread until the function that it returns is called.
func lockThread() (unlock func()) {
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}

// alive reports whether a process of that id exists, whoever owns it.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
