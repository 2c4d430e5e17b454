package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pollInterval is how often conditions without a notification are checked.
const pollInterval = 20 * time.Millisecond

var errLocked = errors.New("in use by another process")

// awaitLock takes the lock file at path and writes this process's pid into it. While another process holds it,
// awaitLock waits until ctx ends or refuse returns an error. refuse gets the holder's pid, or 0 if it is unknown.
func awaitLock(ctx context.Context, path string, refuse func(holder int) error) (*os.File, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		file, err := tryLock(path, os.O_RDWR|os.O_CREATE)
		if !errors.Is(err, errLocked) {
			return file, err
		}
		holder := lockHolder(path)
		if err := refuse(holder); err != nil {
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w, pid %d: %w", err, holder, context.Cause(ctx))
		}
	}
}

// tryLock takes the lock file at path if it is free.
func tryLock(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	if err == nil {
		err = writePid(file)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return file, nil
}

func writePid(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// lockHolder returns the pid in the lock file, or 0 if it has none.
func lockHolder(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 20))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
