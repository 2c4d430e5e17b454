package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// exitPermanent is EX_CONFIG of sysexits.h: a configuration error, which a retry does not fix.
	exitPermanent = 78
	groupPoll     = 20 * time.Millisecond
	pipeGrace     = time.Second // to read the last output once all known processes are dead
)

// Shell runs a command for each attempt. The package documentation describes the command's environment.
type Shell struct {
	Command string        // for sh -c
	Env     []string      // the command's environment; the service's own variables are left out
	Grace   time.Duration // between SIGTERM and SIGKILL
}

// Run runs the command and returns when nothing of its process group is left.
func (s Shell) Run(ctx context.Context, work Work, out io.Writer) error {
	if ctx.Err() != nil {
		return fmt.Errorf("not started: %w", context.Cause(ctx))
	}
	cmd := exec.Command("sh", "-c", s.Command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = append(withoutOurs(s.Env),
		"WATCHBILL_DEPLOYMENT_ID="+work.ID,
		"WATCHBILL_DEPLOYMENT_NAME="+strings.ReplaceAll(work.Name, "\x00", ""),
		"WATCHBILL_ATTEMPT="+strconv.Itoa(int(work.Attempt)),
	)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("prepare the command: %w", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("prepare the command: %w", err), stdin.Close())
	}
	defer func() { _ = read.Close() }()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return fmt.Errorf("start the command: %w", err)
	}

	var pumps sync.WaitGroup
	pumps.Go(func() {
		_, _ = stdin.Write(work.JSON) // A command need not read it; Wait closes it.
		_ = stdin.Close()
	})
	pumps.Go(func() { _, _ = io.Copy(out, read) })

	err = s.wait(ctx, cmd)
	// A process that left the group may hold the pipe open.
	cutOff := time.AfterFunc(pipeGrace, func() { _ = read.Close() })
	defer cutOff.Stop()
	pumps.Wait()

	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == exitPermanent {
		return Permanent(exit)
	}
	return err
}

// wait waits for the command, stops its group when ctx ends, and kills what of the group is left.
func (s Shell) wait(ctx context.Context, cmd *exec.Cmd) error {
	group := -cmd.Process.Pid
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()

	var err error
	select {
	case err = <-exited:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGTERM)
		grace := time.NewTimer(s.Grace)
		defer grace.Stop()
		select {
		case err = <-exited:
			// The shell may end before its children have cleaned up.
			awaitGroup(group, grace.C)
		case <-grace.C:
			_ = syscall.Kill(group, syscall.SIGKILL)
			err = <-exited
		}
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	gone := time.NewTimer(pipeGrace)
	defer gone.Stop()
	awaitGroup(group, gone.C)
	return err
}

// awaitGroup waits until the group has no process left, or for the deadline.
func awaitGroup(group int, deadline <-chan time.Time) {
	tick := time.NewTicker(groupPoll)
	defer tick.Stop()
	for {
		// Process 1, as in a container, must reap orphans.
		for pid := 1; pid > 0; {
			pid, _ = syscall.Wait4(group, nil, syscall.WNOHANG, nil)
		}
		if errors.Is(syscall.Kill(group, 0), syscall.ESRCH) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			return
		}
	}
}

// withoutOurs returns env without the service's variables, which include tokens and passwords.
func withoutOurs(env []string) []string {
	var kept []string
	for _, entry := range env {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, "WATCHBILL_"):
		case name == "DATABASE_URL", name == "ADMIN_TOKEN", name == "ENROLLMENT_TOKEN", name == "INGEST_TOKEN":
		default:
			kept = append(kept, entry)
		}
	}
	return kept
}
