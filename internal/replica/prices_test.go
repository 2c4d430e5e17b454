package replica

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPricesAreReadAgain changes the file to valid and invalid contents.
func TestPricesAreReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "prices.yaml")
	write := func(version string) {
		t.Helper()
		file := "version: " + version + "\ncurrency: USD\nmodels:\n  - {match: [m], input: \"1\", output: \"2\"}\n"
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readPrices(path, true); err == nil {
		t.Error("no file at start: want an error")
	}
	write("first")
	p, err := readPrices(path, true)
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := Prices(ExecutionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		version, want string
		good          bool
	}{{"first", "first", true}, {"second", "second", true}, {"not a version", "second", false}, {"third", "third", true}} {
		write(step.version)
		if err := p.refresh(t.Context()); (err == nil) != step.good {
			t.Errorf("%s: want it good %v, got %v", step.version, step.good, err)
		}
		if got, want := p.inForce().Version(), step.want+"+"+shipped.Version(); got != want {
			t.Errorf("%s: want %s in force, got %s", step.version, want, got)
		}
	}
}
