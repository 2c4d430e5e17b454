package pgserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/watchbill/watchbill/internal/testkit/await"
)

func TestCancelledStartLeavesNothing(t *testing.T) {
	parent := reachableDir(t)
	if err := os.Chmod(parent, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", parent) // for the ephemeral ones
	// Each pattern matches a file that shows how far the start was when it was canceled.
	for name, mark := range map[string]string{
		"before it begins":        "",
		"as it claims its folder": "*/lock",
		"as initdb begins":        "*/data.new/PG_VERSION",
		"as initdb ends":          "*/data/PG_VERSION",
		"as the server starts":    "*/data/postmaster.pid",
	} {
		for _, ephemeral := range []bool{true, false} {
			opts := Options{DataDir: filepath.Join(parent, "kept"), Ephemeral: ephemeral, Logf: t.Logf}
			t.Run(name, func(t *testing.T) {
				cancelledAt(t, opts, filepath.Join(parent, mark), mark == "")
				if running := serversOf(t, parent); len(running) > 0 {
					t.Errorf("processes %v run", running)
				}
				if left, err := filepath.Glob(filepath.Join(parent, "*watchbill-*")); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v %v", left, err)
				}
				if !missing(filepath.Join(opts.DataDir, "data.new")) {
					t.Error("half a cluster was left behind")
				}
			})
			if err := os.RemoveAll(opts.DataDir); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// cancelledAt cancels a start when a file that matches the pattern appears.
func cancelledAt(t *testing.T, opts Options, pattern string, atOnce bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if atOnce {
		cancel()
	}
	type result struct {
		server *Server
		err    error
	}
	results := make(chan result, 1)
	go func() {
		server, err := Start(ctx, opts)
		results <- result{server, err}
	}()
	var got result
	await.Until(t, "the mark or the end", func() bool {
		select {
		case got = <-results:
			results <- got
			return true
		default:
		}
		found, err := filepath.Glob(pattern)
		return err != nil || len(found) > 0
	})
	cancel()
	got = <-results
	if got.err == nil {
		t.Log("the start was quicker")
		mustStop(t, got.server)
		return
	}
	if !errors.Is(got.err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", got.err)
	}
}

func TestStartAfterACancelledOne(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	cancelledAt(t, Options{DataDir: dir}, filepath.Join(dir, "data.new", "PG_VERSION"), false)
	writeFile(t, filepath.Join(dir, "data.new", "PG_VERSION"), "of a killed initdb") // the worst case
	server := mustStart(t, Options{DataDir: dir})
	if got := query(t, server, "SELECT 1"); got != "1" {
		t.Error("it does not work")
	}
}
