package main

import "runtime/debug"

// The linker sets both for builds that are not plain `go build`.
var (
	version = "0.2.0" // of the release that the tree is, or becomes; the chart's is the same
	commit  string
)

// buildVersion returns the version that the program tells servers, clients and people.
func buildVersion() string { return version }

// versionLine returns what `watchbill version` prints: the version and, if known, the commit.
func versionLine() string {
	if from := buildCommit(); from != "" {
		return "watchbill " + version + " (" + from + ")"
	}
	return "watchbill " + version
}

// buildCommit returns the linker's commit, or the one that the Go toolchain recorded; empty if there is neither.
func buildCommit() string {
	if commit != "" {
		return commit
	}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return ""
}
