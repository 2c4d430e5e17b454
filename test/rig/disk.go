package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Disk is a small file system in memory. Mounting it requires root.
type Disk struct {
	dir string
}

// ErrNoMounts is returned when file systems cannot be mounted here.
var ErrNoMounts = errors.New("only root may mount a disk")

const ballastName = ".ballast"

// MountDisk creates dir and mounts an empty disk of the given size there. Close unmounts it and discards its contents.
func MountDisk(ctx context.Context, dir string, bytes int64) (*Disk, error) {
	if os.Geteuid() != 0 {
		return nil, ErrNoMounts
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	options := fmt.Sprintf("size=%d,mode=0700,nosuid,nodev", bytes)
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", options, "watchbill-rig", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: mount: %w: %s", ErrNoMounts, err, out)
	}
	return &Disk{dir}, nil
}

// PostgresOn returns a PostgresOptions.Data for a server whose data is on a disk of the given size. It sets *disk,
// which the caller must close after the server.
func PostgresOn(disk **Disk, bytes int64) func(ctx context.Context, p *Postgres) error {
	return func(ctx context.Context, p *Postgres) error {
		mounted, err := MountDisk(ctx, p.data(), bytes)
		if err != nil {
			return err
		}
		*disk = mounted
		if p.as != nil {
			if err := os.Chown(p.data(), int(p.as.Uid), int(p.as.Gid)); err != nil {
				return err
			}
		}
		return initdb(ctx, p)
	}
}

// Fill writes until the disk has at most leave bytes left.
func (d *Disk) Fill(leave int64) error {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &stat); err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(d.dir, ballastName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	_, err = io.CopyN(f, zeros{}, int64(stat.Bavail)*int64(stat.Bsize)-leave)
	if errors.Is(err, syscall.ENOSPC) { // other processes write there too
		err = nil
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Free releases what Fill wrote.
func (d *Disk) Free() error {
	if err := os.Remove(filepath.Join(d.dir, ballastName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("free the disk: %w", err)
	}
	return nil
}

// Close unmounts the disk. No file on it may be open.
func (d *Disk) Close() error {
	if out, err := exec.CommandContext(context.Background(), "umount", d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unmount %s: %w: %s", d.dir, err, out)
	}
	return nil
}

// Ended reports whether the server's process has ended.
func (p *Postgres) Ended() bool {
	select {
	case <-p.process.Done():
		return true
	default:
		return false
	}
}
