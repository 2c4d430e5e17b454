package main

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	target      = regexp.MustCompile(`\]\(([^)#\s]*)(?:#([^)\s]*))?\)`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// brokenLinks returns one line for each relative link of a Markdown page whose target, or heading in the target, does
// not exist. pages holds the text of each page by its path; exists reports whether the tree has a path.
func brokenLinks(pages map[string]string, exists func(string) bool) []string {
	var faults []string
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		for _, match := range target.FindAllStringSubmatch(pages[page], -1) {
			to, anchor := match[1], match[2]
			if strings.Contains(to, ":") {
				continue // an external link
			}
			file := page
			if to != "" {
				file = path.Join(path.Dir(page), to)
			}
			text, isPage := pages[file]
			switch {
			case !exists(file):
				faults = append(faults, fmt.Sprintf("%s: the link to %s leads nowhere", page, to))
			case anchor != "" && isPage && !slices.Contains(anchors(text), anchor):
				faults = append(faults, fmt.Sprintf("%s: %s has no heading #%s", page, file, anchor))
			}
		}
	}
	return faults
}

// anchors returns the anchors that GitHub generates for a page's headings.
func anchors(text string) []string {
	var all []string
	code := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		}
		if heading := strings.TrimLeft(line, "#"); heading != line && !code {
			heading = notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			all = append(all, strings.ReplaceAll(heading, " ", "-"))
		}
	}
	return all
}
