//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	previousVersion = "0.1.0"
	// previousCommit is the commit of that release.
	previousCommit = "450902fa357622876acf8de9e1c4b9ea1466c881"
)

// edition is a chart with its image.
type edition struct{ chart, image string }

func current() edition { return edition{root + "/charts/watchbill", cluster.product} }

// previous returns the previous release, from which users upgrade.
func previous() edition {
	return edition{"testdata/watchbill-" + previousVersion + ".tgz", cluster.previous}
}

// sourceOfPrevious extracts the previous release from the repository's history. A clone without history lacks it; then
// its chart is tested with this tree's program. The caller must remove the folder.
func sourceOfPrevious(ctx context.Context) (folder string, there bool, err error) {
	if !hasCommit(ctx, previousCommit) {
		fmt.Printf("e2e: %s is not in this clone: the chart %s is tried with the program of this tree\n", previousCommit, previousVersion)
		return "", false, nil
	}
	if folder, err = os.MkdirTemp("", "watchbill-e2e-"); err != nil {
		return "", false, err
	}
	archive := filepath.Join(folder, "source.tar")
	if _, err := output(ctx, "git", "archive", "--output", archive, previousCommit); err != nil {
		return "", false, err
	}
	_, err = output(ctx, "tar", "--extract", "--file", archive, "--directory", folder)
	return folder, err == nil, err
}

func hasCommit(ctx context.Context, commit string) bool {
	_, err := output(ctx, "git", "cat-file", "-e", commit+"^{commit}")
	return err == nil
}

// imageValues returns Helm's arguments that set an image at a path of the values.
func imageValues(path, image string) []string {
	slash := strings.LastIndex(image, "/") + 1
	name, tag, _ := strings.Cut(image[slash:], ":")
	return []string{"--set-string", path + ".repository=" + image[:slash] + name, "--set-string", path + ".tag=" + tag}
}
