package pgserver

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// Limits on what an archive may unpack to. They unpack to some 1,100 files of 60 MB, for macOS 150 MB.
const (
	maxUnpackedBytes = 512 << 20
	maxEntries       = 20_000
)

// unpack creates the folder dir with the contents of an archive. A jar is a zip file; this one contains a tar file that
// is compressed with xz. Nothing is written outside dir, whatever the names and links in the archive.
func unpack(ctx context.Context, jar, dir string) (err error) {
	archive, err := zip.OpenReader(jar)
	if err != nil {
		return err
	}
	defer archive.Close()
	compressed, err := openTarXZ(&archive.Reader)
	if err != nil {
		return err
	}
	defer compressed.Close()
	decompressed, err := xz.NewReader(bufio.NewReader(compressed))
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	limited := &limitedReader{ctx: ctx, from: decompressed, limit: maxUnpackedBytes}
	if err := untar(limited, root); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, limited); err != nil { // to the end, where the checksums are
		return err
	}
	return openToAll(dir)
}

func openTarXZ(archive *zip.Reader) (io.ReadCloser, error) {
	for _, file := range archive.File {
		if strings.HasSuffix(file.Name, ".txz") {
			return file.Open()
		}
	}
	return nil, errors.New("the archive has no .txz file")
}

// limitedReader returns an error when ctx is done or more than limit bytes have been read.
type limitedReader struct {
	ctx   context.Context // since Read has no parameter for it
	from  io.Reader
	limit int64
	read  int64
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	if r.read += int64(n); r.read > r.limit {
		return 0, fmt.Errorf("its contents are larger than %d bytes", r.limit)
	}
	return n, err
}

// untar creates the files, folders and links of a tar file in root.
func untar(from io.Reader, root *os.Root) error {
	var links []string
	entries := tar.NewReader(from)
	for n := 0; ; n++ {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return checkLinks(root, links)
		}
		if err != nil {
			return err
		}
		if n == maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		name := path.Clean(entry.Name)
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		switch entry.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o755)
		case tar.TypeReg:
			err = writeEntry(root, name, entry.FileInfo().Mode().Perm(), entries)
		case tar.TypeSymlink:
			links = append(links, name)
			err = root.Symlink(entry.Linkname, name)
		default:
			err = fmt.Errorf("%q has the type %q, which is not supported", entry.Name, entry.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

func writeEntry(root *os.Root, name string, perm fs.FileMode, contents io.Reader) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, contents)
	return errors.Join(err, file.Close())
}

// checkLinks returns an error unless every link leads to a file in root: programs that PostgreSQL runs follow links
// without root's checks.
func checkLinks(root *os.Root, links []string) error {
	for _, name := range links {
		if _, err := root.Stat(name); err != nil {
			return fmt.Errorf("following a link: %w", err)
		}
	}
	return nil
}

// openToAll gives everyone the owner's read and execute permissions, whatever the umask was.
func openToAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() & 0o755
		return os.Chmod(path, mode|(mode&0o500)>>3|(mode&0o500)>>6)
	})
}
