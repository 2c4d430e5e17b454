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

// endWithin is how long a program may take to end after it was told to.
const endWithin = 40 * time.Second

// Command is a program to run.
type Command struct {
	Path string
	Args []string
	Env  []string // beside PATH and HOME; nothing else of ours is handed on
	Dir  string
	Log  string              // file that its output is appended to
	Out  *os.File            // nil, or where its standard output goes instead
	As   *syscall.Credential // nil: us
}

// Process is a program of ours that runs. It is killed if we die. It is safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // how it ended; after done
}

// Start runs a program. Its end is the caller's to bring about, by Close.
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
		// To the kernel the parent is the thread: it must live as long as the program.
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

// PID is the process' number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal; to a process that has ended it does nothing.
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

// Wait returns how the process ended, nil for exit code 0.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("process %d goes on: %w", p.PID(), context.Cause(ctx))
	}
}

// Stop asks the process to end and waits for it; it is killed if that takes too long, which is an error.
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

// Close ends the process, however it must.
func (p *Process) Close() error { return p.Stop(context.Background(), syscall.SIGTERM) }

// CPU is the time that the process has computed for, in user and system mode.
func (p *Process) CPU() (time.Duration, error) { return cpuOf(p.PID(), false) }

// cpuOf is the time that a process has computed for; with ended, and its children that it has waited for.
func cpuOf(pid int, ended bool) (time.Duration, error) {
	fields, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	const utime, stime, cutime, cstime, ticksPerSecond = 11, 12, 13, 14, 100 // of proc(5), counted behind the name; USER_HZ is 100 on all of Linux
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

// RSS is the memory, in bytes, that the process has resident.
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

// statOf returns the fields of /proc/…/stat from the state on.
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

// Build builds a package of the tree as it is released, but for build tags, and returns the program's path in folder.
func Build(ctx context.Context, folder, pkg string, tags ...string) (string, error) {
	program := filepath.Join(folder, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-tags", strings.Join(tags, ","), "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, out)
	}
	return program, nil
}

// tail returns the last lines of a file, for an error to say what a program said.
func tail(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(len(lines)-10, 0):], "\n")
}
