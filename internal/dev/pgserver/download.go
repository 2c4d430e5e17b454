package pgserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const downloadTimeout = 15 * time.Minute

// downloadable returns the versions that the library supports, newest first.
func downloadable() []embeddedpostgres.PostgresVersion {
	return []embeddedpostgres.PostgresVersion{
		embeddedpostgres.V18, embeddedpostgres.V17, embeddedpostgres.V16, embeddedpostgres.V15,
	}
}

// download returns PostgreSQL of the given major version (0 for the newest) from the cache or the repository.
func (s sources) download(ctx context.Context, opts Options, who account, major int) (installation, error) {
	found, err := s.cached(ctx, opts, who, major)
	if err != nil {
		return installation{}, fmt.Errorf("no PostgreSQL %d or newer on PATH or in %s, and none for %s/%s could be downloaded: %w;  "+
			"install the PostgreSQL server or set DATABASE_URL", minMajor, s.packaged, runtime.GOOS, runtime.GOARCH, err)
	}
	return found, nil
}

func (s sources) cached(ctx context.Context, opts Options, who account, major int) (installation, error) {
	version := downloadable()[0]
	for _, candidate := range downloadable() {
		if strings.HasPrefix(string(candidate), strconv.Itoa(major)+".") {
			version = candidate
		}
	}
	cache, err := cacheDir(ctx, opts, who)
	if err != nil {
		return installation{}, err
	}
	anybody := func(int) error { return nil } // waits for another process that downloads
	held, err := awaitLock(ctx, filepath.Join(cache, lockName), anybody)
	if err != nil {
		return installation{}, err
	}
	defer held.Close()

	folder := filepath.Join(cache, fmt.Sprintf("postgresql-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
	if found, err := inspect(ctx, who, filepath.Join(folder, "bin")); err == nil {
		return found, nil
	}
	opts.Logf("downloading PostgreSQL %s from %s to %s", version, s.repository, folder)
	if err := s.fetch(ctx, version, folder); err != nil {
		return installation{}, fmt.Errorf("downloading PostgreSQL %s: %w", version, err)
	}
	return inspect(ctx, who, filepath.Join(folder, "bin"))
}

func cacheDir(ctx context.Context, opts Options, who account) (string, error) {
	wanted := opts.CacheDir
	if wanted == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		wanted = filepath.Join(base, "watchbill", "postgresql")
	}
	return who.place(ctx, wanted, standIns(), opts.Logf)
}

// fetch downloads and unpacks a version into folder with the library. On an error the folder is not created.
//
// The library can only start a server, which it cannot do as root. It downloads, checks and unpacks first, and then
// clears its data directory. os.RemoveAll rejects a name that ends in a dot, so with such a directory the library stops
// there with an error that contains the name. It leaves one empty file, its log, in the temporary directory.
func (s sources) fetch(ctx context.Context, version embeddedpostgres.PostgresVersion, folder string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	work, err := os.MkdirTemp(filepath.Dir(folder), "download-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	relay, err := startRelay(ctx, s.repository)
	if err != nil {
		return err
	}

	stopHere := filepath.Join(work, "data") + string(filepath.Separator) + "."
	unpacked := filepath.Join(work, "unpacked")
	startErr := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		BinaryRepositoryURL(relay.url).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "run")).
		BinariesPath(unpacked).
		DataPath(stopHere).
		Port(0).
		Logger(nil)).Start()
	if err := relay.close(); err != nil {
		return err
	}
	if startErr == nil || !strings.Contains(startErr.Error(), stopHere) {
		return fmt.Errorf("unpacking: %w", startErr)
	}
	if err := openToAll(unpacked); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.Rename(unpacked, folder)
}

// openToAll gives everyone the owner's read and execute permissions, whatever the umask was.
func openToAll(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
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
