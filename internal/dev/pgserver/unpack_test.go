package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ulikunitz/xz"
)

// entry is one entry of a tar file: a link if it has a target, a folder if its name ends in a slash.
type entry struct {
	name, target, contents string
	mode                   int64
	kind                   byte
}

func makeTar(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Linkname: e.target, Mode: e.mode, Size: int64(len(e.contents)), Typeflag: e.kind}
		switch {
		case e.kind != 0:
		case e.target != "":
			header.Typeflag = tar.TypeSymlink
		case strings.HasSuffix(e.name, "/"):
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.contents); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func compress(t *testing.T, contents []byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w, err := xz.NewWriter(&buffer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(contents); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// pack returns a zip file with one file.
func pack(t *testing.T, name string, contents []byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	w := zip.NewWriter(&buffer)
	file, err := w.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(contents); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func makeArchive(t *testing.T, entries ...entry) []byte {
	t.Helper()
	return pack(t, "postgres.txz", compress(t, makeTar(t, entries...)))
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	jar := filepath.Join(t.TempDir(), "jar")
	writeFile(t, jar, string(makeArchive(
		t,
		entry{name: "lib/libpq.so", target: "libpq.so.5"}, // before what it leads to
		entry{name: "lib/libpq.so.5", contents: "library", mode: 0o600},
		entry{name: "bin/"},
		entry{name: "bin/postgres", contents: "program", mode: 0o4700},
		entry{name: "share/up", target: "../lib"},
	)))
	dir := filepath.Join(t.TempDir(), "unpacked")
	if err := unpack(t.Context(), jar, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		contents string
		mode     fs.FileMode
	}{
		"lib/libpq.so":      {"library", 0o644},
		"bin/postgres":      {"program", 0o755},
		"share/up/libpq.so": {"library", 0o644},
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want.contents {
			t.Errorf("%s: want %q, got %q, %v", name, want.contents, got, err)
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != want.mode {
			t.Errorf("%s: want mode %v, got %v, %v", name, want.mode, info.Mode(), err)
		}
	}
	for _, name := range []string{".", "bin", "share"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: want mode 0755, got %v, %v", name, info.Mode(), err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	damaged := compress(t, makeTar(t, entry{name: "file", contents: "contents"}))
	damaged[len(damaged)-20] ^= 1
	for name, test := range map[string]struct {
		jar  []byte
		want string
	}{
		"no tar file":        {pack(t, "README", nil), "no .txz file"},
		"no xz":              {pack(t, "postgres.txz", []byte("not compressed by xz")), "xz:"},
		"damaged xz":         {pack(t, "postgres.txz", damaged), "xz:"},
		"half a tar file":    {pack(t, "postgres.txz", compress(t, makeTar(t, entry{name: "file", contents: "contents"})[:515])), "unexpected EOF"},
		"a parent's file":    {makeArchive(t, entry{name: "../outside"}), "path escapes from parent"},
		"a file of any name": {makeArchive(t, entry{name: "bin/../../outside"}), "path escapes from parent"},
		"an absolute name":   {makeArchive(t, entry{name: outside}), "path escapes from parent"},
		"a folder outside":   {makeArchive(t, entry{name: "../outside/"}), "path escapes from parent"},
		"an absolute link":   {makeArchive(t, entry{name: "link", target: "/etc/passwd"}), "path escapes from parent"},
		"a link to a parent": {makeArchive(t, entry{name: "bin/link", target: "../../outside"}), "path escapes from parent"},
		"a file through a link": {
			makeArchive(t, entry{name: "link", target: filepath.Dir(outside)}, entry{name: "link/outside"}), "path escapes from parent",
		},
		"a link through a link": {
			makeArchive(t, entry{name: "a/here", target: "."}, entry{name: "up", target: "a/here/../.."}), "path escapes from parent",
		},
		"a link to nothing":  {makeArchive(t, entry{name: "link", target: "nothing"}), "no such file"},
		"a link to itself":   {makeArchive(t, entry{name: "link", target: "link"}), "too many"},
		"a hard link":        {makeArchive(t, entry{name: "link", target: "/etc/passwd", kind: tar.TypeLink}), "not supported"},
		"a device":           {makeArchive(t, entry{name: "null", kind: tar.TypeChar}), "not supported"},
		"a file twice":       {makeArchive(t, entry{name: "file"}, entry{name: "./file"}), "file exists"},
		"a file as a folder": {makeArchive(t, entry{name: "file"}, entry{name: "file/file"}), "file exists"},
		"the folder itself":  {makeArchive(t, entry{name: ".", contents: "file", kind: tar.TypeReg}), "file exists"},
		"too many entries":   {makeArchive(t, slices.Repeat([]entry{{name: "bin/"}}, maxEntries+1)...), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jar := filepath.Join(t.TempDir(), "jar")
			writeFile(t, jar, string(test.jar))
			err := unpack(t.Context(), jar, filepath.Join(t.TempDir(), "unpacked"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want %q in the error, got: %v", test.want, err)
			}
		})
	}
	if !missing(outside) {
		t.Error("a file was created outside the folder")
	}
}

func TestLimitedReader(t *testing.T) {
	t.Parallel()
	for limit, fails := range map[int64]bool{9: true, 10: false} {
		r := &limitedReader{ctx: t.Context(), from: strings.NewReader("0123456789"), limit: limit}
		if _, err := io.Copy(io.Discard, r); (err != nil) != fails {
			t.Errorf("10 bytes of at most %d: %v", limit, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&limitedReader{ctx: ctx, limit: 1}).Read(nil); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

// TestFullDisk unpacks to a file system of 64 KB.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	jar := filepath.Join(t.TempDir(), "jar")
	writeFile(t, jar, string(makeArchive(t, entry{name: "file", contents: strings.Repeat(".", 1<<20)})))
	if err := unpack(t.Context(), jar, filepath.Join(disk, "unpacked")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("want an error for a full disk, got %v", err)
	}
}
