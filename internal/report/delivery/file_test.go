package delivery_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

func onVolume(root, path string, format report.Format) reportjob.Output {
	return reportjob.Output{Format: format, File: &reportjob.File{Root: root, Path: path, Volume: "reports"}}
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantEntries(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: (-want +got)\n%s", dir, diff)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	r := aReport(t, onVolume(root, "a/b", report.HTML), onVolume(root, "a/b", report.JSON), onVolume(root, "a/b", report.Markdown), onVolume(root, "", report.CSV))
	for range 2 { // a rerun replaces the file
		want := []string{"pvc/reports:a/b: delivered", "pvc/reports:a/b: delivered", "pvc/reports:a/b: delivered", "pvc/reports: delivered"}
		if diff := cmp.Diff(want, deliver(t, r, options())); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	}
	wantEntries(t, filepath.Join(root, "a", "b"), "daily-20260115T0800Z.html", "daily-20260115T0800Z.json", "daily-20260115T0800Z.md")
	wantEntries(t, root, "a", "daily-20260115T0800Z.csv")
	for path, format := range map[string]report.Format{
		"a/b/daily-20260115T0800Z.html": report.HTML, "a/b/daily-20260115T0800Z.json": report.JSON,
		"a/b/daily-20260115T0800Z.md": report.Markdown, "daily-20260115T0800Z.csv": report.CSV,
	} {
		if diff := cmp.Diff(rendered(t, r, format), content(t, filepath.Join(root, path))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", path, diff)
		}
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: want mode 0644, got %v %v", path, info.Mode(), err)
		}
	}
}

func TestFilesAreKept(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	others := map[string]string{
		"daily-20200101T0800Z.json": "", "daily-20200101T0800Z.html.old": "", "daily-2-20200101T0800Z.html": "", "notes.txt": "",
		"daily-20200101T0801Z.html/inside": "", ".daily-20260115T0800Z.html-00000001.tmp": "being written", ".daily-notes.tmp": "",
		"sub/daily-20200101T0800Z.html": "",
	}
	writeFiles(t, root, others)
	writeFiles(t, root, map[string]string{
		"daily-20260114T0800Z.html": "", "daily-20260113T0800Z.html": "", "daily-20251231T0800Z.html": "", "daily-20200101T0802Z.html": "",
		".daily-20260114T0800Z.html-0badcafe.tmp": "of a run that was killed",
	})
	for _, old := range []string{".daily-20260114T0800Z.html-0badcafe.tmp", ".daily-notes.tmp"} {
		if err := os.Chtimes(filepath.Join(root, old), time.Time{}, eight.Add(-2*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(filepath.Join(root, ".daily-20260115T0800Z.html-00000001.tmp"), time.Time{}, eight.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	// A link with the name of a report's file does not belong to the report.
	if err := os.Symlink("notes.txt", filepath.Join(root, "daily-20200101T0803Z.html")); err != nil {
		t.Fatal(err)
	}
	got := deliver(t, aReport(t, onVolume(root, "", report.HTML)), options())
	if diff := cmp.Diff([]string{"pvc/reports: delivered"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantEntries(t, root,
		".daily-20260115T0800Z.html-00000001.tmp", ".daily-notes.tmp", "daily-2-20200101T0800Z.html", "daily-20200101T0800Z.html.old",
		"daily-20200101T0800Z.json", "daily-20200101T0801Z.html", "daily-20200101T0803Z.html",
		"daily-20260113T0800Z.html", "daily-20260114T0800Z.html", "daily-20260115T0800Z.html", "notes.txt", "sub")

	t.Run("an old slot that is created again", func(t *testing.T) {
		r := aReport(t, onVolume(root, "", report.HTML))
		r.Slot = eight.AddDate(-1, 0, 0)
		if diff := cmp.Diff([]string{"pvc/reports: delivered"}, deliver(t, r, options())); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if got := content(t, filepath.Join(root, "daily-20250115T0800Z.html")); got == "" {
			t.Error("it is empty")
		}
	})
}

func TestUnwritableFiles(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	root := t.TempDir()
	writeFiles(t, root, map[string]string{"file": "", "taken/daily-20260115T0800Z.json/inside": ""})
	for link, target := range map[string]string{"out": outside, "up": "../..", "loop": "loop", "broken": filepath.Join(outside, "new")} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ root, path, want string }{
		{filepath.Join(root, "none"), "", "pvc/reports: cannot open the volume: no such file or directory"},
		{filepath.Join(root, "file"), "", "pvc/reports: cannot open the volume: not a directory"},
		{root, "out", "pvc/reports:out: cannot make the folder: path escapes from parent"},
		{root, "out/deeper", "pvc/reports:out/deeper: cannot make the folder: path escapes from parent"},
		{root, "up", "pvc/reports:up: cannot make the folder: path escapes from parent"},
		{root, "broken", "pvc/reports:broken: cannot make the folder: path escapes from parent"},
		{root, "../x", "pvc/reports:../x: cannot make the folder: path escapes from parent"},
		{root, "loop/x", "pvc/reports:loop/x: cannot make the folder: too many levels of symbolic links"},
		{root, "file/x", "pvc/reports:file/x: cannot make the folder: not a directory"},
		{root, "taken", "pvc/reports:taken: cannot write daily-20260115T0800Z.json: file exists"},
	} {
		if diff := cmp.Diff([]string{tt.want}, deliver(t, aReport(t, onVolume(tt.root, tt.path, report.JSON)), options())); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	wantEntries(t, outside)
	wantEntries(t, filepath.Join(root, "taken"), "daily-20260115T0800Z.json")
}

// TestLinkInPlaceOfFile: another user has placed a link at the report's path.
func TestLinkInPlaceOfFile(t *testing.T) {
	t.Parallel()
	root, outside := t.TempDir(), t.TempDir()
	target := filepath.Join(outside, "target")
	writeFiles(t, outside, map[string]string{"target": "theirs"})
	if err := os.Symlink(target, filepath.Join(root, "daily-20260115T0800Z.json")); err != nil {
		t.Fatal(err)
	}
	r := aReport(t, onVolume(root, "", report.JSON))
	if diff := cmp.Diff([]string{"pvc/reports: delivered"}, deliver(t, r, options())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if content(t, target) != "theirs" || content(t, filepath.Join(root, "daily-20260115T0800Z.json")) != rendered(t, r, report.JSON) {
		t.Error("want the link replaced and its target left")
	}
}
