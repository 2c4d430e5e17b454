package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrNoMemoryLimit is returned when control groups cannot be created here.
var ErrNoMemoryLimit = errors.New("no control group can be made to limit memory")

// LimitMemory creates a control group with a memory limit and returns a command that runs the program in it. The
// program is killed if it exceeds the limit. release removes the group after the program has ended.
func LimitMemory(dir, name string, bytes int64, program string) (wrapper string, release func() error, err error) {
	group, limitFile := filepath.Join("/sys/fs/cgroup/memory", name), "memory.limit_in_bytes"
	if _, err := os.Stat(filepath.Dir(group)); err != nil {
		group, limitFile = filepath.Join("/sys/fs/cgroup", name), "memory.max"
	}
	if err := os.Mkdir(group, 0o755); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrNoMemoryLimit, err)
	}
	release = func() error { return removeGroup(group) }
	if err := os.WriteFile(filepath.Join(group, limitFile), []byte(strconv.FormatInt(bytes, 10)), 0o644); err != nil {
		return "", nil, errors.Join(ErrNoMemoryLimit, err, release())
	}
	wrapper, err = Wrap(dir, name, "echo $$ > "+filepath.Join(group, "cgroup.procs"), program)
	if err != nil {
		return "", nil, errors.Join(err, release())
	}
	return wrapper, release, nil
}

// removeGroup removes a group as soon as the kernel reports it as empty.
func removeGroup(group string) error {
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = os.Remove(group); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return err
}

// Wrap writes a script that runs the shell command first and then executes program.
func Wrap(dir, name, first, program string) (script string, err error) {
	script = filepath.Join(dir, name+".sh")
	text := "#!/bin/sh\n" + first + " && exec " + program + ` "$@"` + "\n"
	if strings.ContainsAny(program, " '\"$") {
		return "", fmt.Errorf("cannot wrap %q", program)
	}
	return script, os.WriteFile(script, []byte(text), 0o755)
}
