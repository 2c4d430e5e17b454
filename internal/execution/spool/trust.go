package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// checkOwner refuses a folder that another user made, or a link of theirs, where everyone may make one, as in /tmp: whoever
// owns it can read what people asked agents, put in records that no run made, and have us write elsewhere by links.
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
