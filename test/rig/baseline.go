package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BaselineCommit is the version that measurements are compared with.
const BaselineCommit = "2de74c4"

// BuildBaseline builds `watchbill` of BaselineCommit from the repository's history and returns the program's path in
// dir. It reuses an earlier build there. It returns an error if the clone is shallow and lacks the commit.
func BuildBaseline(ctx context.Context, dir string) (path string, err error) {
	path = filepath.Join(dir, "watchbill-"+BaselineCommit)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	source, err := os.MkdirTemp(dir, "baseline-")
	if err != nil {
		return "", fmt.Errorf("build %s: %w", BaselineCommit, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
	if err := UnpackBaseline(ctx, source); err != nil {
		return "", err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./cmd/watchbill")
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := output(build); err != nil {
		return "", fmt.Errorf("build %s: %w", BaselineCommit, err)
	}
	return path, nil
}

// UnpackBaseline writes the files of BaselineCommit at paths, or all files if paths is empty, to dir. It returns an
// error if the clone is shallow and lacks the commit.
func UnpackBaseline(ctx context.Context, dir string, paths ...string) error {
	root, err := output(exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel"))
	if err != nil {
		return fmt.Errorf("find the repository of %s: %w", BaselineCommit, err)
	}
	args := append([]string{"-C", string(bytes.TrimSpace(root)), "archive", BaselineCommit, "--"}, paths...)
	archive, err := output(exec.CommandContext(ctx, "git", args...))
	if err != nil {
		return fmt.Errorf("read %s from git's history: %w", BaselineCommit, err)
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(archive)
	if _, err := output(unpack); err != nil {
		return fmt.Errorf("unpack %s: %w", BaselineCommit, err)
	}
	return nil
}

// output runs a command and returns its standard output. The error includes its stderr.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
