package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// launch starts the postmaster, without a Unix socket: its path would have to be short, and it is not needed.
func (h *home) launch(programs installation, port int) (*process, error) {
	settings := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=",
		"logging_collector=off",
		"log_destination=stderr",
		"log_timezone=UTC",
		"timezone=UTC",
	}
	atDeath := syscall.SIGINT
	if h.ephemeral {
		settings = append(settings, "fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")
		atDeath = syscall.SIGQUIT // without a checkpoint: there is nothing to keep
	}
	args := []string{"-D", h.data()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	cmd := h.who.command(context.Background(), atDeath, h.dir, programs.program("postgres"), args...)
	cmd.Stdout, cmd.Stderr = h.log, h.log
	cmd.ExtraFiles = []*os.File{h.lock}
	process, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("running %s: %w", cmd.Path, err)
	}
	return process, nil
}

// awaitReady waits until the server accepts connections and has its database.
func (h *home) awaitReady(ctx context.Context, process *process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var lastErr error
	for {
		if h.announced(process.pid()) {
			lastErr = ensureDatabase(ctx, url)
			if lastErr == nil {
				return nil
			}
			if refusesLogin(lastErr) {
				return lastErr
			}
		}
		select {
		case <-tick.C:
		case <-process.done:
			return fmt.Errorf("it exited immediately, %s:\n%s", process.cmd.ProcessState, h.log.lastLines())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("it was not ready in time: %w", context.Cause(ctx)), lastErr)
		}
	}
}

// announced reports whether this server has written "ready" into its pid file, whose first line is its pid and whose
// eighth is its status. Until then another process may listen on the port.
func (h *home) announced(pid int) bool {
	lines := h.pidFile()
	return len(lines) >= 8 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// pidFile returns the lines of the server's pid file, or one empty line if there is no file.
func (h *home) pidFile() []string {
	text, _ := os.ReadFile(filepath.Join(h.data(), "postmaster.pid"))
	return strings.Split(string(text), "\n")
}

func ensureDatabase(ctx context.Context, url string) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()

	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize())
	return err
}

// refusesLogin reports whether err has SQLSTATE class 28, invalid authorization. A retry cannot help.
func refusesLogin(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "28")
}
