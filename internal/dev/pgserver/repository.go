package pgserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"
)

const (
	maxArchiveBytes  = 128 << 20 // an archive is 15 MB, for macOS 33 MB
	maxChecksumBytes = 1 << 10
)

// platform returns the name of this machine's platform in the names of archives.
func platform() string {
	name := runtime.GOOS + "-" + runtime.GOARCH
	if runtime.GOARCH == "arm64" {
		name += "v8"
	}
	if _, err := os.Stat("/etc/alpine-release"); err == nil {
		name += "-alpine" // linked with musl
	}
	return name
}

// archiveURL returns the URL of a version's archive in a Maven repository.
func archiveURL(repository, platform, version string) string {
	artifact := "embedded-postgres-binaries-" + platform
	return fmt.Sprintf("%s/io/zonky/test/postgres/%s/%s/%s-%s.jar", repository, artifact, version, artifact, version)
}

// downloadChecked downloads the file at url to path and compares it with the SHA-256 that the repository publishes
// beside it. The proxies of the environment are used.
func downloadChecked(ctx context.Context, url, path string) error {
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   time.Minute,
		ResponseHeaderTimeout: time.Minute,
	}}
	defer client.CloseIdleConnections()

	var published strings.Builder
	if err := get(ctx, client, url+".sha256", &published, maxChecksumBytes); err != nil {
		return err
	}
	want, _, _ := strings.Cut(strings.TrimSpace(published.String()), " ") // a file name may follow
	if sum, err := hex.DecodeString(want); err != nil || len(sum) != sha256.Size {
		return fmt.Errorf("%s.sha256 does not contain a SHA-256 checksum", url)
	}

	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	hash := sha256.New()
	err = get(ctx, client, url, io.MultiWriter(file, hash), maxArchiveBytes)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); !strings.EqualFold(got, want) {
		return fmt.Errorf("%s has the SHA-256 checksum %s, but %s is published: it is damaged or was changed", url, got, want)
	}
	return nil
}

// get copies the body of the response to w. It fails if the body is longer than limit bytes.
func get(ctx context.Context, client *http.Client, url string, w io.Writer, limit int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responded with %s", url, resp.Status)
	}
	if _, err := io.Copy(w, http.MaxBytesReader(nil, resp.Body, limit)); err != nil {
		return fmt.Errorf("copying %s: %w", url, err)
	}
	return nil
}
