package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeProgram creates a folder with programs that only print their version.
func fakeProgram(t *testing.T, bin, version string) {
	t.Helper()
	for _, name := range []string{"postgres", "initdb"} {
		path := filepath.Join(bin, name)
		writeFile(t, path, fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version))
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	root := reachableDir(t)
	for _, version := range []string{"14.9", "15.18 (Debian 15.18-0+deb12u1)", "16beta2", "17.5"} {
		bin := filepath.Join(root, "usr", version[:2], "bin")
		fakeProgram(t, bin, version)
	}
	fakeProgram(t, filepath.Join(root, "local"), "16.9")
	fakeProgram(t, filepath.Join(root, "odd"), "none")
	closed := filepath.Join(root, "closed")
	fakeProgram(t, closed, "99.1")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(closed, 0o700) }) // so that it can be removed
	linked := filepath.Join(root, "linked")
	if err := os.Mkdir(linked, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "local", "postgres"), filepath.Join(linked, "postgres")); err != nil {
		t.Fatal(err)
	}
	path := func(names ...string) string {
		for i, name := range names {
			names[i] = filepath.Join(root, name)
		}
		return strings.Join(append(names, ".", ""), string(filepath.ListSeparator))
	}

	for name, test := range map[string]struct {
		path, packaged string
		opts           Options
		major          int
		want, wantBin  string // version and folder
	}{
		"the newest packaged":           {packaged: "usr/*/bin", want: "17.5", wantBin: "usr/17/bin"},
		"the newest of PATH":            {path: path("odd", "closed", "usr/15/bin", "local"), want: "16.9", wantBin: "local"},
		"a package newer than PATH":     {path: path("local"), packaged: "usr/*/bin", want: "17.5", wantBin: "usr/17/bin"},
		"PATH before a package as new":  {path: path("local"), packaged: "usr/16/bin", want: "16.9", wantBin: "local"},
		"a link's end":                  {path: path("linked"), want: "16.9", wantBin: "local"},
		"the cluster's own version":     {packaged: "usr/*/bin", major: 15, want: "15.18", wantBin: "usr/15/bin"},
		"the newest for one not to had": {packaged: "usr/*/bin", major: 18, want: "17.5", wantBin: "usr/17/bin"},
		"the one that was named": {
			packaged: "usr/*/bin", opts: Options{BinDir: filepath.Join(root, "usr", "16", "bin")}, want: "16beta2", wantBin: "usr/16/bin",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.opts.Logf = t.Logf
			from := sources{path: test.path, packaged: filepath.Join(root, test.packaged), repository: "http://127.0.0.1:1"}
			got, err := from.find(t.Context(), test.opts, serviceAccount(), test.major)
			if err != nil {
				t.Fatal(err)
			}
			if wantBin := filepath.Join(root, test.wantBin); got.version != test.want || got.bin != wantBin {
				t.Errorf("want %s in %s, got %+v", test.want, wantBin, got)
			}
		})
	}
}

func TestFindErrorNamesNextStep(t *testing.T) {
	root := reachableDir(t)
	old := filepath.Join(root, "old", "bin")
	fakeProgram(t, old, "14.9")
	var log strings.Builder
	opts := Options{CacheDir: filepath.Join(root, "cache"), Logf: func(format string, args ...any) {
		fmt.Fprintf(&log, format+"\n", args...)
	}}
	from := sources{packaged: filepath.Join(root, "*", "bin"), repository: "http://127.0.0.1:1"}
	_, err := start(t.Context(), Options{Ephemeral: true, CacheDir: opts.CacheDir, Logf: opts.Logf}, from)
	if err == nil {
		t.Fatal("it started")
	}
	for _, want := range []string{"install the PostgreSQL server", "DATABASE_URL", "connection refused", "PostgreSQL 15 or newer"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in the error, got: %v", want, err)
		}
	}
	if want := "passing over the PostgreSQL in " + old + ": it is 14.9"; !strings.Contains(log.String(), want) {
		t.Errorf("want %q in the log, got: %s", want, &log)
	}
}
