package main

import "runtime/debug"

// Set by the linker, except in a plain `go build`.
var (
	version = "0.2.0" // of this or the coming release; the chart's is the same
	commit  string
)

// buildVersion returns the version shown to servers, clients and people.
func buildVersion() string { return version }

// versionLine returns what `watchbill version` prints: the version and, if known, the commit.
func versionLine() string {
	if from := buildCommit(); from != "" {
		return "watchbill " + version + " (" + from + ")"
	}
	return "watchbill " + version
}

// buildCommit returns the linker's commit, or the one recorded by the Go toolchain; empty if there is neither.
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
