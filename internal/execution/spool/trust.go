package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// checkOwner rejects a directory or link of another user in a place where anyone may create one, such as /tmp: its owner
// could read prompts, forge records, and redirect the server's writes by links.
func checkOwner(dir string) error {
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for path != filepath.Dir(path) {
		parent, err := os.Stat(filepath.Dir(path))
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		const everyone = 0o002
		owner, known := info.Sys().(*syscall.Stat_t)
		shared := parent.Mode()&os.ModeSticky != 0 && parent.Mode().Perm()&everyone != 0
		if shared && known && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
			return fmt.Errorf("%s is another user's, who could read and forge what is in it", path)
		}
		path = filepath.Dir(path)
	}
	return nil
}
