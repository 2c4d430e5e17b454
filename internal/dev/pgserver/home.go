package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// Prefix of the folders of ephemeral servers; stand-ins have another. Unlocked folders with this prefix are
	// removed.
	ephemeralPrefix = "ephemeral-watchbill-"
	newPrefix       = "new-watchbill-" // created, not yet locked
	lockName        = "lock"

	// orphanGrace limits the wait for the shutdown of a server whose parent was killed.
	orphanGrace = 30 * time.Second
)

// home is the folder of one server's files. It is locked while the server or its parent lives.
type home struct {
	dir       string
	who       account
	ephemeral bool
	lock      *os.File
	log       *logFile
}

func (h *home) data() string         { return filepath.Join(h.dir, "data") }
func (h *home) passwordPath() string { return filepath.Join(h.dir, "password") }

func openHome(ctx context.Context, opts Options, who account) (*home, error) {
	h := &home{who: who, ephemeral: opts.Ephemeral}
	var err error
	if h.ephemeral {
		err = h.makeEphemeral(ctx)
	} else {
		err = h.openKept(ctx, opts)
	}
	if err != nil {
		return nil, err
	}
	if h.log, err = openLog(filepath.Join(h.dir, "postgresql.log")); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *home) openKept(ctx context.Context, opts Options) error {
	var err error
	if h.dir, err = h.who.place(ctx, opts.DataDir, standIns(), opts.Logf); err != nil {
		return err
	}
	h.lock, err = h.acquire(ctx)
	return err
}

// acquire takes the folder's lock, which the server inherits: it is free only if neither parent nor server lives. If
// the parent lives, acquire returns an error immediately. If it was killed, its server is shutting down and acquire
// waits.
func (h *home) acquire(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, orphanGrace, errors.New("its server outlives it"))
	defer cancel()
	return awaitLock(ctx, filepath.Join(h.dir, lockName), func(holder int) error {
		if holder == 0 || !alive(holder) {
			return nil
		}
		return fmt.Errorf("%s is %w, pid %d (its server: pid %s)", h.dir, errLocked, holder, h.pidFile()[0])
	})
}

// makeEphemeral creates a folder and renames it to its final name once it is locked. So an unlocked folder with such a
// name was left behind and can be removed.
func (h *home) makeEphemeral(ctx context.Context) error {
	var failures []error
	for _, parent := range slices.Backward(standIns()) {
		if err := h.who.enter(ctx, parent); err != nil {
			failures = append(failures, err)
			continue
		}
		removeAbandoned(parent)
		made, err := os.MkdirTemp(parent, newPrefix)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		h.dir = filepath.Join(parent, ephemeralPrefix+strings.TrimPrefix(filepath.Base(made), newPrefix))
		return h.claimEphemeral(made)
	}
	return errors.Join(failures...)
}

func (h *home) claimEphemeral(made string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(made))
		}
	}()
	if h.who.switched {
		if err := os.Chmod(made, 0o711); err != nil {
			return err
		}
	}
	if h.lock, err = tryLock(filepath.Join(made, lockName), os.O_RDWR|os.O_CREATE); err != nil {
		return err
	}
	if err := os.Rename(made, h.dir); err != nil {
		return errors.Join(err, h.lock.Close())
	}
	return nil
}

// removeAbandoned removes the folders of ephemeral servers whose parents were killed. If one cannot be removed, the
// next start tries again.
func removeAbandoned(parent string) {
	found, err := filepath.Glob(filepath.Join(parent, ephemeralPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		if ours(dir) != nil {
			continue
		}
		held, err := tryLock(filepath.Join(dir, lockName), os.O_RDWR)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(dir)
		_ = held.Close()
	}
}

// close unlocks the folder, or removes it.
func (h *home) close() error {
	var errs []error
	if h.log != nil {
		errs = append(errs, h.log.Close())
	}
	if h.ephemeral {
		errs = append(errs, os.RemoveAll(h.dir))
	}
	return errors.Join(append(errs, h.lock.Close())...)
}
