package replica

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDisplayCurrencyFaults(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "rates.csv")
	if err := os.WriteFile(bad, []byte("date,currency,units_per_usd\nx,EUR,1\n2026-11-30,EUR,y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		code, path string
		want       []string
	}{
		"no file":     {"EUR", "", []string{"--display-currency"}},
		"no currency": {"", bad, []string{"--display-currency"}},
		"no code":     {"euro", bad, []string{"three letters"}},
		"not there":   {"EUR", bad + "x", []string{"--currency-rate-file"}},
		"wrong":       {"EUR", bad, []string{"--currency-rate-file", "line 2: date", "line 3: units_per_usd"}},
	} {
		_, err := readDisplayCurrency(tt.code, tt.path)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %q, got %v", name, want, err)
			}
		}
	}
}

func TestDisplayCurrencyIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rates.csv")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("date,currency,units_per_usd\n"+content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("2026-11-27,EUR,0.86\n")
	d, err := readDisplayCurrency("EUR", path)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.rates(); len(got) != 1 {
		t.Errorf("want 1 rate, got %v", got)
	}
	write("2026-11-27,EUR,0.86\n2026-11-30,EUR,0.87\n")
	if err := d.refresh(t.Context()); err != nil || len(d.rates()) != 2 {
		t.Errorf("want 2 rates, got %v, %v", d.rates(), err)
	}
	write("2026-11-27,EUR,0\n")
	if err := d.refresh(t.Context()); err == nil || len(d.rates()) != 2 {
		t.Errorf("want an error and the rates that were in force, got %v, %v", d.rates(), err)
	}
}
