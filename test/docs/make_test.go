package docs_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

var (
	makeTarget = regexp.MustCompile(`(?m)^([A-Za-z0-9_-]+)(?: [A-Za-z0-9_ -]+)?:(?:[^=]|$)`)
	makeHelped = regexp.MustCompile(`(?m)^  make ([A-Za-z0-9_-]+) +\S`)
)

// TestMakeHelp checks that `make help` lists every target.
func TestMakeHelp(t *testing.T) {
	t.Parallel()
	names := func(text string, pattern *regexp.Regexp) []string {
		var found []string
		for _, match := range pattern.FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
		slices.Sort(found)
		return found
	}
	targets := names(read(t, "Makefile"), makeTarget)
	listed := names(run(t, tree.Root(), "make", "--no-print-directory", "help"), makeHelped)
	if len(targets) == 0 || !slices.Equal(targets, listed) {
		t.Errorf("the Makefile has the targets %q, and make help lists %q", targets, listed)
	}
}
