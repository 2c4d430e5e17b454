// Package docs_test checks the documentation against the program: its alerts, series, commands, endpoints and fields.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// read returns the contents of a file of the repository.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree.Root(), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages returns the paths of the pages to test.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"docs/monitoringreport.md", "docs/gitops.md", "docs/security.md", "config/README.md"}
	for _, name := range runbooks(t) {
		all = append(all, "docs/runbooks/"+name+".md")
	}
	return append(all, "docs/runbooks/README.md")
}

// runbooks returns the names of the alerts with a runbook.
func runbooks(t *testing.T) []string {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(tree.Root(), "docs/runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".md"); ok && name != "README" {
			names = append(names, name)
		}
	}
	return names
}

// blocks returns a page's fenced blocks in one language, without their indentation.
func blocks(text, language string) []string {
	var all []string
	var block *strings.Builder
	indentation := ""
	for line := range strings.Lines(text) {
		switch trimmed := strings.TrimSpace(line); {
		case block == nil && trimmed == "```"+language:
			block = &strings.Builder{}
			indentation, _, _ = strings.Cut(line, "`")
		case block != nil && trimmed == "```":
			all = append(all, block.String())
			block = nil
		case block != nil:
			block.WriteString(strings.TrimPrefix(line, indentation))
		}
	}
	return all
}

var link = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)

// TestLinks checks that relative links have a target, and those with a # a heading in it.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor := match[1], match[2]
			if strings.Contains(target, "://") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(filepath.Join(tree.Root(), path)); err != nil {
				t.Errorf("%s: the link to %s: %v", page, target, err)
			} else if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
				t.Errorf("%s: %s has no heading %s", page, path, anchor)
			}
		}
	}
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchors returns the anchors that GitHub makes for a page's headings.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			heading = notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all = append(all, "#"+strings.ReplaceAll(heading, " ", "-"))
		}
	}
	return all
}
