package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// outputGrace limits the wait for descendants that keep a finished program's output open.
const outputGrace = 5 * time.Second

// lastResortID is the user and group used by root if the machine has neither postgres nor nobody. PostgreSQL runs as a
// user without a name, but initdb does not, so only an existing cluster can be served.
const lastResortID = 65534

// account is the user that runs PostgreSQL's programs, which do not run as root.
type account struct {
	uid, gid uint32
	switched bool // this process is root and the account is another user
}

func serviceAccount() account {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{uid: uint32(uid), gid: uint32(gid), switched: true}
		}
	}
	return account{uid: lastResortID, gid: lastResortID, switched: true}
}

// command prepares a program to run as the account in dir. It runs in a separate process group, so that a terminal's
// Ctrl-C reaches only this process, and gets the signal atDeath if this process dies first. Of the environment it gets
// only the search paths, since the rest may contain tokens. If ctx can end, its process group is killed then.
//
// On Linux the kernel's notion of the parent is the thread: the caller must lock its goroutine to the thread until the
// program has ended.
func (a account) command(ctx context.Context, atDeath syscall.Signal, dir, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	killWithParent(cmd.SysProcAttr, atDeath)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outputGrace
	return cmd
}

// run runs a program as the account to its end and returns its output.
func (a account) run(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	defer lockThread()()
	return a.command(ctx, syscall.SIGKILL, dir, program, args...).CombinedOutput()
}

// enter returns an error if the account cannot use dir. It has the account try, since modes are not sufficient (ACLs,
// namespaces).
func (a account) enter(ctx context.Context, dir string) error {
	if !a.switched {
		return nil
	}
	if _, err := a.run(ctx, dir, "/bin/sh", "-c", ":"); err != nil {
		return fmt.Errorf("uid %d cannot enter %s: %w", a.uid, dir, err)
	}
	return nil
}

// own makes the account the owner of a file or tree.
func (a account) own(root string) error {
	if !a.switched {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(a.uid), int(a.gid))
	})
}
