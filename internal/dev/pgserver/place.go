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

// standIns returns the parent folders that place uses if the account cannot access the wanted one.
func standIns() []string { return []string{"/var/lib", os.TempDir()} }

// place creates the wanted folder. If the account cannot access it, as when root's project is under a /root of mode
// 0700, it creates a stand-in, whose name is derived from the wanted path so that later runs find it.
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

// standInName returns a name that begins with watchbill, unlike the folders of ephemeral servers.
func standInName(wanted string) string {
	hash := sha256.Sum256([]byte(wanted))
	return fmt.Sprintf("watchbill-%s-%x", filepath.Base(wanted), hash[:4])
}

// makeReachable creates dir and its missing parents so that the account can enter it.
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

// makeDir creates a folder that the account can enter, whatever the umask.
func (a account) makeDir(dir string) error {
	mode := fs.FileMode(0o700)
	if a.switched {
		mode = 0o711
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil // created by another start
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// ours rejects a folder of another user: names in the temporary directory are predictable.
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
