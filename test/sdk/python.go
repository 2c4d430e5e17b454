package sdk

import (
	"context"
	"crypto/sha256"
	_ "embed" // the program and its requirements
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	installWithin = 5 * time.Minute
	tellWithin    = 2 * time.Minute
)

var (
	//go:embed requirements.txt
	requirements []byte
	//go:embed story.py
	story string
)

// errNoPython is returned when this machine cannot run the program.
var errNoPython = errors.New("no python3 with venv and the SDK")

// SendWithPython sends the story with the SDK for Python. The first call installs the SDK, outside the repository. If
// that fails the test is skipped, except in CI, where it fails.
func SendWithPython(ctx context.Context, t testing.TB, endpoint, token string) error {
	t.Helper()
	python, err := preparePython(ctx)
	switch {
	case errors.Is(err, errNoPython) && os.Getenv("CI") != "true":
		t.Skip(err)
	case err != nil:
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	tell := exec.CommandContext(ctx, python, "-c", story, PythonUser)
	tell.Env = append(os.Environ(),
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+endpoint,
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS=authorization="+url.PathEscape("Bearer "+token),
		"NO_PROXY=*", "no_proxy=*")
	if output, err := tell.CombinedOutput(); err != nil {
		return fmt.Errorf("send spans with the SDK for Python: %w: %s", err, output)
	}
	return nil
}

// preparePython returns a Python interpreter with the SDK. Its environment is cached, under a name that depends on
// everything that it is made from.
func preparePython(ctx context.Context) (string, error) {
	system, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoPython, err)
	}
	version, err := output(ctx, system, "-c", "import sys; print(sys.version, sys.executable)")
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoPython, err)
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(append([]byte(version), requirements...))
	environment := filepath.Join(cache, "sdk-"+hex.EncodeToString(hash[:8]))
	python := filepath.Join(environment, "bin", "python")
	if _, err := os.Stat(python); err == nil {
		return python, nil
	}
	return python, install(ctx, system, cache, environment)
}

// install creates the environment under a temporary name and renames it, so that it is complete or does not exist.
func install(ctx context.Context, system, cache, environment string) error {
	ctx, cancel := context.WithTimeout(ctx, installWithin)
	defer cancel()
	draft, err := os.MkdirTemp(cache, ".sdk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(draft) //nolint:errcheck // leftovers are in the cache, under a name that is not used
	list := filepath.Join(draft, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o600); err != nil {
		return err
	}
	if _, err := output(ctx, system, "-m", "venv", draft); err != nil {
		return fmt.Errorf("%w: %w", errNoPython, err)
	}
	if _, err := output(ctx, filepath.Join(draft, "bin", "python"), "-m", "pip",
		"install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--requirement", list); err != nil {
		return fmt.Errorf("%w: %w", errNoPython, err)
	}
	if err := os.Rename(draft, environment); err != nil {
		if _, made := os.Stat(environment); made != nil {
			return err
		} // another test was faster
	}
	return nil
}

// cacheFolder returns the folder in which hack/tool keeps its builds.
func cacheFolder() (string, error) {
	folder := os.Getenv("WATCHBILL_CACHE")
	if folder == "" {
		user, err := os.UserCacheDir() // $XDG_CACHE_HOME or ~/.cache
		if err != nil {
			return "", err
		}
		folder = filepath.Join(user, "watchbill")
	}
	return folder, os.MkdirAll(folder, 0o755)
}

func output(ctx context.Context, program string, arguments ...string) (string, error) {
	printed, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(arguments, " "), err, printed)
	}
	return string(printed), nil
}
