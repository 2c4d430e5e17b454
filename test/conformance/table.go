package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	tableFile  = "docs/opentelemetry.md"
	tableBegin = "<!-- conformance: begin -->"
	tableEnd   = "<!-- conformance: end -->"
)

// renewTable writes the rows of the cases that ran and keeps the others.
func renewTable(results []result) error {
	content, err := os.ReadFile(filepath.FromSlash(tableFile))
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(content), tableBegin)
	old, after, closed := strings.Cut(rest, tableEnd)
	if !found || !closed {
		return fmt.Errorf("%s lacks the lines %s and %s", tableFile, tableBegin, tableEnd)
	}
	rows := map[string]string{}
	for line := range strings.Lines(old) {
		if cells := strings.Split(line, "|"); len(cells) > 2 && strings.Contains(cells[1], "`") {
			rows[strings.Trim(cells[1], " `")] = strings.TrimSpace(line)
		}
	}
	for _, r := range results {
		rows[r.Name] = row(r)
	}
	cases, err := loadCases(caseFolder)
	if err != nil {
		return err
	}
	var table strings.Builder
	table.WriteString("\n| case | library and version | with | recorded as it was | not sent by the library | content |\n|---|---|---|---|---|---|\n")
	for _, c := range cases {
		if line, ok := rows[c.Name]; ok { // rows of removed cases are dropped
			table.WriteString(line + "\n")
		}
	}
	return os.WriteFile(filepath.FromSlash(tableFile), []byte(before+tableBegin+"\n"+table.String()+"\n"+tableEnd+after), 0o644)
}

func row(r result) string {
	var right, wrong, lacks []string
	omitted := map[string][]string{}
	for _, s := range r.scenarios {
		if len(s.faults) == 0 {
			right = append(right, s.name)
		} else {
			wrong = append(wrong, s.name)
		}
		for _, what := range s.NotSent {
			omitted[what] = append(omitted[what], s.name)
		}
	}
	for _, what := range omissions {
		in := omitted[what]
		switch {
		case len(in) == 0:
		case len(in) == len(r.scenarios):
			lacks = append(lacks, what)
		default:
			lacks = append(lacks, fmt.Sprintf("%s (%s)", what, strings.Join(in, ", ")))
		}
	}
	shown := strings.Join(right, ", ")
	if len(wrong) > 0 {
		shown = strings.TrimPrefix(shown+"; **not:** "+strings.Join(wrong, ", "), "; ")
	}
	cells := []string{"`" + r.Name + "`", r.Library + " " + r.Version, r.With, shown, strings.Join(lacks, "; "), r.Content}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	return "| " + strings.Join(slices.Clone(cells), " | ") + " |"
}
