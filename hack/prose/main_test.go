package main

import (
	"slices"
	"strings"
	"testing"
)

func TestFaultsOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 21)
	tests := []struct {
		name, path, text string
		want             []string
	}{
		{"clean", "docs/a.md", "# A page\n\nIt returns 404.\n", nil},
		{"a phrase of docs", "docs/a.md", "Fine.\nThe client is told so.\n", []string{`docs/a.md:2: "is told"`}},
		{"a phrase of docs, in code", "cmd/a.go", "// The client is told so.\n", nil},
		{"a phrase of all files", "cmd/a.go", "// This shows How it stands.\n", []string{`cmd/a.go:1: "How it stands"`}},
		{"part of a word", "docs/a.md", "A recommendation to amend it.\n", nil},
		{"a long line", "docs/a.md", "x\n" + long + "\n", []string{"docs/a.md:2: 105 columns"}},
		{"characters, not bytes", "docs/a.md", strings.Repeat("é ", 50) + "\n", nil},
		{"a long line of a table, a heading, a block", "docs/a.md", "| " + long + "\n# " + long + "\n```\n" + long + "\n```\n", nil},
		{"a long target of a link", "docs/a.md", "See [this page](" + strings.Repeat("x", 100) + ").\n", nil},
		{"a long line of code", "cmd/a.go", "// " + long + "\n", nil},
	}
	for _, test := range tests {
		if got := faultsOf(test.path, test.text); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestBrokenLinks(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"README.md": "[a](docs/a.md) [b](docs/b.md#the-databases-login) [c](docs/c.md) [site](https://example.com/x#y)\n",
		"docs/a.md": "[up](../README.md) [here](#a-page) [gone](#gone) [program](../main.go)\n\n# A page\n\n```\n# Gone\n```\n",
		"docs/b.md": "## The database's login\n",
	}
	got := brokenLinks(pages, func(path string) bool { return pages[path] != "" || path == "main.go" })
	want := []string{"README.md: the link to docs/c.md leads nowhere", "docs/a.md: docs/a.md has no heading #gone"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
