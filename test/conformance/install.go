package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const installWithin = 15 * time.Minute

// environment is the folder and command of a program.
type environment struct {
	folder  string
	command []string
}

// base is what each program of a language needs to export spans.
var base = map[string][]string{
	"python": {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"},
	"java":   {"io.opentelemetry:opentelemetry-sdk:1.68.0", "io.opentelemetry:opentelemetry-exporter-otlp:1.68.0"},
}

// prepare installs what a case needs unless it is cached. A lock file pins all dependencies of the case's packages.
func prepare(ctx context.Context, c *libraryCase, renew bool) (environment, error) {
	cache, err := cacheFolder()
	if err != nil {
		return environment{}, err
	}
	wanted := slices.Clone(c.Packages)
	lockFile := filepath.Join(lockFolder, c.Name+".txt")
	lock, err := os.ReadFile(lockFile)
	locked := err == nil && !renew
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return environment{}, err
	}
	if locked {
		wanted = strings.Fields(string(lock))
	}
	key := sha256.Sum256([]byte(c.Language + "\n" + strings.Join(wanted, "\n")))
	folder := filepath.Join(cache, "conformance", hex.EncodeToString(key[:8]))
	if _, err := os.Stat(filepath.Join(folder, "complete")); err != nil {
		logf("%s: installing …", c.Name)
		ctx, cancel := context.WithTimeout(ctx, installWithin)
		defer cancel()
		if err := os.RemoveAll(folder); err != nil { // of an interrupted installation
			return environment{}, err
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return environment{}, err
		}
		if err := install(ctx, c, folder, wanted, locked); err != nil {
			return environment{}, fmt.Errorf("install: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, "complete"), nil, 0o644); err != nil {
			return environment{}, err
		}
	}
	if renew && c.Language == "python" {
		frozen, err := output(ctx, folder, filepath.Join(folder, "bin", "python"), "-m", "pip", "freeze")
		if err != nil {
			return environment{}, err
		}
		if err := os.WriteFile(lockFile, frozen, 0o644); err != nil {
			return environment{}, err
		}
	}
	return launcher(ctx, c, folder)
}

func install(ctx context.Context, c *libraryCase, folder string, packages []string, locked bool) error {
	switch c.Language {
	case "python":
		if _, err := output(ctx, "", "python3", "-m", "venv", folder); err != nil {
			return err
		}
		args := []string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}
		if locked {
			args = append(args, "--no-deps")
		} else {
			args = append(args, base["python"]...)
		}
		_, err := output(ctx, "", filepath.Join(folder, "bin", "python"), append(args, packages...)...)
		return err
	case "javascript":
		dependencies := map[string]string{}
		for _, p := range packages {
			at := strings.LastIndexByte(p, '@')
			dependencies[p[:at]] = p[at+1:]
		}
		manifest, err := json.MarshalIndent(map[string]any{"name": "conformance", "private": true, "type": "module", "dependencies": dependencies}, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, "package.json"), manifest, 0o644); err != nil {
			return err
		}
		_, err = output(ctx, folder, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--loglevel=error")
		return err
	}
	return installJava(ctx, folder, append(base["java"], packages...))
}

// installJava downloads the jars with Maven and stores their paths.
func installJava(ctx context.Context, folder string, packages []string) error {
	var pom strings.Builder
	pom.WriteString(`<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>` +
		`<groupId>conformance</groupId><artifactId>conformance</artifactId><version>1</version><dependencies>`)
	for _, p := range packages {
		part := strings.Split(p, ":")
		fmt.Fprintf(&pom, "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>", part[0], part[1], part[2])
	}
	pom.WriteString("</dependencies></project>")
	if err := os.WriteFile(filepath.Join(folder, "pom.xml"), []byte(pom.String()), 0o644); err != nil {
		return err
	}
	_, err := output(ctx, folder, "mvn", "--batch-mode", "--quiet", "dependency:build-classpath", "-Dmdep.outputFile="+filepath.Join(folder, "classpath"))
	return err
}

// launcher copies the programs beside their dependencies and returns how to run one.
func launcher(ctx context.Context, c *libraryCase, folder string) (environment, error) {
	programs, err := os.ReadDir(programFolder)
	if err != nil {
		return environment{}, err
	}
	for _, p := range programs {
		content, err := os.ReadFile(filepath.Join(programFolder, p.Name()))
		if err != nil {
			return environment{}, err
		}
		if err := os.WriteFile(filepath.Join(folder, p.Name()), content, 0o644); err != nil {
			return environment{}, err
		}
	}
	program := filepath.Join(folder, c.Program)
	switch c.Language {
	case "python":
		return environment{folder, []string{filepath.Join(folder, "bin", "python"), "-W", "ignore", program}}, nil
	case "javascript":
		return environment{folder, []string{"node", program}}, nil
	}
	classpath, err := os.ReadFile(filepath.Join(folder, "classpath"))
	if err != nil {
		return environment{}, err
	}
	path := folder + ":" + strings.TrimSpace(string(classpath))
	if _, err := output(ctx, folder, "javac", "-parameters", "-nowarn", "-cp", path, filepath.Join(folder, "Common.java"), program); err != nil {
		return environment{}, err
	}
	return environment{folder, []string{"java", "-cp", path, strings.TrimSuffix(c.Program, ".java")}}, nil
}

func output(ctx context.Context, folder, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = folder
	out, err := cmd.Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		return nil, fmt.Errorf("%s: %w: %s%s", program, err, lastLines(string(out), 10), lastLines(string(failed.Stderr), 10))
	}
	return out, err
}

// cacheFolder returns the folder in which hack/tool keeps its builds.
func cacheFolder() (string, error) {
	if folder := os.Getenv("WATCHBILL_CACHE"); folder != "" {
		return folder, nil
	}
	user, err := os.UserCacheDir()
	return filepath.Join(user, "watchbill"), err
}
