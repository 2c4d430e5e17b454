package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// endWithin limits a program's shutdown.
const endWithin = 40 * time.Second

// Command is a program to run.
type Command struct {
	Path string
	Args []string
	Env  []string // in addition to PATH and HOME; nothing else is inherited
	Dir  string
	Log  string              // the file that its output is appended to
	Out  *os.File            // the destination of its standard output instead of Log; may be nil
	As   *syscall.Credential // nil for this process's
}

// Process is a running program. It is killed if this process dies. It is safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // the result; valid after done is closed
}

// Start starts a program. The caller must call Close.
func Start(_ context.Context, c Command) (*Process, error) {
	log, err := os.OpenFile(c.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", c.Path, err)
	}
	defer log.Close()
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = c.Dir, log, log
	if c.Out != nil {
		cmd.Stdout = c.Out
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.As, Pdeathsig: syscall.SIGKILL}
	p := &Process{cmd: cmd, log: c.Log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		// The kernel considers the thread the parent, so it must live as long as the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", c.Path, err)
	}
	return p, nil
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal. It does nothing if the process has ended.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to process %d: %w", s, p.PID(), err)
	}
	return nil
}

// Kill kills the process and waits for its end.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Wait waits for the process to end and returns an error unless its exit code is 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("process %d goes on: %w", p.PID(), context.Cause(ctx))
	}
}

// Stop sends the signal s and waits for the process to end. It kills the process after endWithin and returns an error.
func (p *Process) Stop(ctx context.Context, s syscall.Signal) error {
	if err := p.Signal(s); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("process %d did not end within %s of %s", p.PID(), endWithin, s), p.Kill())
	}
}

// Close stops the process with SIGTERM, or kills it.
func (p *Process) Close() error { return p.Stop(context.Background(), syscall.SIGTERM) }

// CPU returns the user and system CPU time of the process.
func (p *Process) CPU() (time.Duration, error) { return cpuOf(p.PID(), false) }

// cpuOf returns the CPU time of a process, including that of its reaped children if ended.
func cpuOf(pid int, ended bool) (time.Duration, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	const utime, stime, cutime, cstime, ticksPerSecond = 11, 12, 13, 14, 100 // see proc(5), counted after the name; USER_HZ is 100 on Linux
	wanted := []int{utime, stime}
	if ended {
		wanted = append(wanted, cutime, cstime)
	}
	var ticks int64
	for _, field := range wanted {
		n, err := strconv.ParseInt(fields[field], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// RSS returns the process's resident memory in bytes.
func (p *Process) RSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", p.PID(), err)
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("read the memory of process %d: %q", p.PID(), text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// statOf returns the fields of /proc/…/stat beginning with the state.
func statOf(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("read the state of process %d: %q", pid, text)
	}
	return fields, nil
}

// Build builds a package of the tree as a release is built, but for the inlining of Kubernetes' packages, and returns the program's path in folder.
func Build(ctx context.Context, folder, pkg string) (string, error) {
	program := filepath.Join(folder, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return program, nil
}

// tail returns the last lines of a file, for error messages.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(len(lines)-10, 0):], "\n")
}
