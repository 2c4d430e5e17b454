// Command prose checks the tree's prose: it reports phrases that docs/glossary.md replaces, lines of Markdown that are
// longer than 100 columns, and broken links in Markdown.
//
//	go run ./hack/prose
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

const maxColumns = 100

// Regular expressions, matched in any case between word boundaries.
var (
	// nowhere lists phrases that no file may contain: docs, code, charts, scripts.
	nowhere = phrases(
		`how it stands`,
		`good for nothing`,
		`no two runs`,
		`the house`,
		`more rooms`,
		`has not the right`,
		`likeliest`,
		`does without`,
		`mend(s|ed|ing)?`,
		`what became of`,
		`pretended`,
		`is (there|said|given) twice`,
		`not to be had`,
		`anew`,
		`(is|are|was|were|be|been|being) answered`,
		`at the most`,
		`stands? beside`,
		`seldom`,
		`lest`,
		`goes? before the`,
		`is away`,
		`whoever`,
		`in vain`,
		`less than nothing`,
		`if need be`,
		`(few|many) times each`,
		`this path answers`,
		`as (it|they) comes?`,
		`what (it|they) (is|are) to be compared with`,
		`no matter of`,
	)
	// notInDocs lists phrases that Markdown and the chart's notes may not contain either.
	notInDocs = phrases(
		`dearest`,
		`(is|are|was|were|be|been|being) told`,
		`given up`,
		`but for`,
	)
)

func phrases(all ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(` + strings.Join(all, "|") + `)\b`)
}

func main() {
	faults, err := check()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	for _, fault := range faults {
		fmt.Println(fault)
	}
	if len(faults) > 0 {
		fmt.Fprintln(os.Stderr, "prose: docs/glossary.md says what to write instead; Markdown is wrapped at 100 columns; links lead somewhere")
		os.Exit(1)
	}
}

// check reads the files that git tracks.
func check() ([]string, error) {
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	var faults []string
	pages := map[string]string{}
	for path := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if exempt(path) && path != "docs/glossary.md" {
			continue
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) { // deleted but not committed
			continue
		}
		if err != nil {
			return nil, err
		}
		if filepath.Ext(path) == ".md" {
			pages[path] = string(text)
		}
		if !exempt(path) && !bytes.ContainsRune(text, 0) {
			faults = append(faults, faultsOf(path, string(text))...)
		}
	}
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	return append(faults, brokenLinks(pages, exists)...), nil
}

// exempt reports whether a file is not checked: the list of phrases, what quotes it, history, and generated or recorded
// files.
func exempt(path string) bool {
	return path == "docs/glossary.md" || path == "CHANGELOG.md" || strings.HasPrefix(path, "hack/prose/") ||
		strings.Contains(path, "/testdata/") || strings.Contains(path, "/migrations/") || // released migrations are not edited
		strings.HasSuffix(path, ".sum") || filepath.Base(path) == "LICENSE"
}

// faultsOf returns one line for each fault of a file.
func faultsOf(path, text string) []string {
	generated := path == "charts/watchbill/README.md" // from values.yaml
	markdown := filepath.Ext(path) == ".md" && !generated
	docs := markdown || filepath.Base(path) == "NOTES.txt"
	var faults []string
	code := false
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		found := nowhere.FindString(line)
		if found == "" && docs {
			found = notInDocs.FindString(line)
		}
		if found != "" {
			faults = append(faults, fmt.Sprintf("%s:%d: %q", path, number, found))
		}
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
			continue
		}
		if columns := utf8.RuneCountInString(line); markdown && !code && columns > maxColumns && canWrap(line) {
			faults = append(faults, fmt.Sprintf("%s:%d: %d columns", path, number, columns))
		}
	}
	return faults
}

var link = regexp.MustCompile(`\]\([^)]*\)`)

// canWrap reports whether a line of Markdown can be made shorter. Tables, headings and the targets of links cannot.
func canWrap(line string) bool {
	trimmed := strings.TrimSpace(line)
	if strings.HasPrefix(trimmed, "|") || strings.HasPrefix(trimmed, "#") || !strings.Contains(trimmed, " ") {
		return false
	}
	return utf8.RuneCountInString(link.ReplaceAllString(line, "]")) > maxColumns
}
