package pgserver

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// major returns the major version of the cluster, or 0 if there is no cluster.
func (h *home) major() (int, error) {
	path := filepath.Join(h.data(), "PG_VERSION")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s holds no major version: %w", path, err)
	}
	return major, nil
}

// initialise creates the cluster if there is none. It creates it under a temporary name, since an interrupted initdb
// leaves a folder that looks like a cluster.
func (h *home) initialise(ctx context.Context, programs installation) error {
	major, err := h.major()
	if err != nil {
		return err
	}
	if major != 0 {
		return h.adopt(programs, major)
	}
	fresh := h.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if err := errors.Join(h.who.own(fresh), h.makePassword()); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + fresh, "--username=" + superuser, "--pwfile=" + h.passwordPath(),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if h.ephemeral {
		args = append(args, "--no-sync")
	}
	if output, err := h.who.run(ctx, h.dir, programs.program("initdb"), args...); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return errors.Join(fmt.Errorf("running initdb: %w\n%s", err, output), os.RemoveAll(fresh))
	}
	return os.Rename(fresh, h.data())
}

// adopt prepares the use of an existing cluster, which may have another owner.
func (h *home) adopt(programs installation, major int) error {
	if major != programs.major {
		return fmt.Errorf("%s was made by PostgreSQL %d, and the PostgreSQL found in %s is %d: "+
			"install PostgreSQL %d, or remove the directory to start afresh", h.data(), major, programs.bin, programs.major, major)
	}
	return h.who.own(h.data())
}

// makePassword writes a password for the superuser, unless an earlier, incomplete start has.
func (h *home) makePassword() error {
	temporary := h.passwordPath() + ".new"
	secret := make([]byte, 24)
	_, _ = rand.Read(secret) // never returns an error
	if err := os.WriteFile(temporary, []byte(hex.EncodeToString(secret)+"\n"), 0o600); err != nil {
		return err
	}
	if err := h.who.own(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, h.passwordPath())
}

func (h *home) password() (string, error) {
	text, err := os.ReadFile(h.passwordPath())
	if err != nil {
		return "", fmt.Errorf("reading the superuser's password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
