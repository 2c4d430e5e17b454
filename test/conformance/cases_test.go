package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCases(t *testing.T) {
	t.Parallel()
	cases, err := loadCases("cases")
	if err != nil {
		t.Fatal(err)
	}
	languages := map[string]int{}
	for _, c := range cases {
		languages[c.Language]++
		if _, err := os.Stat(filepath.Join("programs", c.Program)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if c.Language != "python" {
			continue
		}
		lock, err := os.ReadFile(filepath.Join("locks", c.Name+".txt"))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		locked := strings.Fields(strings.ToLower(strings.ReplaceAll(string(lock), "_", "-")))
		for _, p := range c.Packages {
			name, version, _ := strings.Cut(p, "==")
			name, _, _ = strings.Cut(name, "[")
			if !slices.Contains(locked, name+"=="+version) {
				t.Errorf("%s: the lock does not have %s", c.Name, p)
			}
		}
	}
	if len(cases) < 25 || languages["python"] == 0 || languages["javascript"] == 0 || languages["java"] == 0 {
		t.Errorf("there are %d cases: %v", len(cases), languages)
	}
}

func TestLoadCaseRejects(t *testing.T) {
	t.Parallel()
	const valid = "library: l\nversion: 1\nlanguage: python\npackages: [l==1.0]\nprogram: p.py\ncontent: always\nscenarios:\n  chat: {}\n"
	for name, tt := range map[string]struct{ old, replacement, want string }{
		"a range of versions":     {"l==1.0", `"l>=1.0"`, "no exact version"},
		"an unknown language":     {"python", "cobol", "is not python"},
		"an unknown omission":     {"chat: {}", "chat: {not_sent: [colour], because: none}", `"colour" is not one of`},
		"an omission unexplained": {"chat: {}", "chat: {not_sent: [user]}", "go together"},
		"an unknown field":        {"content:", "contents:", "field contents not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "case.yaml")
			if err := os.WriteFile(file, []byte(strings.Replace(valid, tt.old, tt.replacement, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := loadCase(file); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
