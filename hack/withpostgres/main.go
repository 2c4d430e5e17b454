//go:build unix

// Command withpostgres runs a command with a temporary PostgreSQL server.
//
//	go run ./hack/withpostgres -- go test ./...
//
// The command gets the server's URL in DATABASE_URL. If that is set already, no server is started. The server is
// stopped and its data removed when the command ends. SIGINT, SIGTERM and SIGHUP are passed on to the command and its
// descendants. The exit code is the command's. The command has no standard input.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/watchbill/watchbill/internal/dev/pgserver"
)

// stopTimeout limits how long the server may take to stop after the command ended.
const stopTimeout = 30 * time.Second

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: withpostgres [--] COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	code, err := run(args)
	if err != nil {
		logf("%v", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "withpostgres: "+format+"\n", args...)
}

// run returns the command's exit code.
func run(args []string) (int, error) {
	// Two listeners: the context cancels the server's start, the channel passes signals on to the command.
	passedOn := []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
	ctx, cancel := signal.NotifyContext(context.Background(), passedOn...)
	defer cancel()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	// A separate process group, so that a signal reaches each process once, whether it was sent to this process or its
	// group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getenv("DATABASE_URL") != "" {
		return wait(cmd, signals)
	}

	server, err := pgserver.Start(ctx, pgserver.Options{Ephemeral: true, Logf: logf})
	if err != nil {
		return 0, err
	}
	cmd.Env = append(os.Environ(), "DATABASE_URL="+server.URL())
	code, err := wait(cmd, signals)

	ctx, cancel = context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if stopErr := server.Stop(ctx); stopErr != nil {
		err = errors.Join(err, stopErr)
	}
	return code, err
}

// wait runs cmd, passes the signals on to its process group, and returns its exit code as a shell would: 128 plus the
// signal's number if a signal ended it.
func wait(cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	if err := cmd.Start(); err != nil {
		return 127, fmt.Errorf("start the command: %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			// An error means that the group has ended.
			_ = syscall.Kill(-cmd.Process.Pid, sig.(syscall.Signal))
		case err := <-done:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 1, fmt.Errorf("wait for the command: %w", err)
			}
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
				return 128 + int(status.Signal()), nil
			}
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}
