package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// standIns are the folders in which place makes its own when the one that is wanted is out of the account's reach.
func standIns() []string { return []string{"/var/lib", os.TempDir()} }

// place makes the folder that is wanted, or one that stands in for it where the account has no way into that one, as
// when root's project lies under a /root of mode 0700. The stand-in's name follows from the wanted path, so that a
// later run finds it again.
func (a account) place(ctx context.Context, wanted string, instead []string, logf func(string, ...any)) (string, error) {
	wanted, err := filepath.Abs(wanted)
	if err != nil {
		return "", err
	}
	firstErr := a.makeReachable(ctx, wanted)
	if firstErr == nil || !a.switched {
		return wanted, firstErr
	}
	failures := []error{firstErr}
	for _, parent := range instead {
		dir := filepath.Join(parent, standInName(wanted))
		if err := errors.Join(a.makeReachable(ctx, dir), ours(dir)); err != nil {
			failures = append(failures, err)
			continue
		}
		logf("PostgreSQL's files go to %s instead of %s: %v", dir, wanted, firstErr)
		return dir, nil
	}
	return "", errors.Join(failures...)
}

// standInName begins with watchbill, which sets it apart from the folders of ephemeral servers.
func standInName(wanted string) string {
	hash := sha256.Sum256([]byte(wanted))
	return fmt.Sprintf("watchbill-%s-%x", filepath.Base(wanted), hash[:4])
}

// makeReachable makes dir and the missing folders above it such that the account can enter it.
func (a account) makeReachable(ctx context.Context, dir string) error {
	var missing []string
	existing := dir
	for existing != filepath.Dir(existing) {
		if _, err := os.Stat(existing); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, existing)
		existing = filepath.Dir(existing)
	}
	if err := a.enter(ctx, existing); err != nil {
		return err
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := a.makeDir(missing[i]); err != nil {
			return err
		}
	}
	return a.enter(ctx, dir)
}

// makeDir makes a folder that the account can pass through, whatever the umask.
func (a account) makeDir(dir string) error {
	mode := fs.FileMode(0o700)
	if a.switched {
		mode = 0o711
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil // another start was quicker
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// ours refuses a folder that somebody else made: names in the temporary directory can be foreseen.
func ours(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a directory of ours", dir)
	}
	return nil
}
