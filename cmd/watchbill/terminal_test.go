package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestTerminalEscapesAcrossWrites checks that the text does not depend on how it is split.
func TestTerminalEscapesAcrossWrites(t *testing.T) {
	t.Parallel()
	const text, want = "Ü\r\n日\r本\x1b[0m\xe6\xffend", "Ü\n日\n本\ufffd[0m\ufffd\ufffdend"
	for size := 1; size <= len(text); size++ {
		var out bytes.Buffer
		h := &harmless{out: &out}
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			if written, err := h.Write(rest[:n]); written != n || err != nil {
				t.Fatalf("want %d, got %d, %v", n, written, err)
			}
			rest = rest[n:]
		}
		if out.String() != want {
			t.Errorf("in pieces of %d: want %q, got %q", size, want, out.String())
		}
	}
}

// TestProgress checks that a line appears for long operations and is removed after them.
func TestProgress(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]string{
		900 * time.Millisecond:  "",
		1500 * time.Millisecond: eraseLine + "reading … 1s" + eraseLine,
		2500 * time.Millisecond: eraseLine + "reading … 1s" + eraseLine + "rendering … 2s" + eraseLine,
	} {
		synctest.Test(t, func(t *testing.T) {
			var stderr bytes.Buffer
			p := startProgress(console{stdio: stdio{err: &stderr}, errIsTerminal: true}, "asking")
			p.now("reading")
			time.Sleep(min(took, 1500*time.Millisecond))
			p.now("rendering")
			time.Sleep(took - min(took, 1500*time.Millisecond))
			p.stop()
			if got := stderr.String(); got != want {
				t.Errorf("%s: want %q, got %q", took, want, got)
			}
		})
	}
	var stderr bytes.Buffer
	p := startProgress(console{stdio: stdio{err: &stderr}}, "asking")
	p.now("reading")
	p.stop()
	if stderr.Len() > 0 {
		t.Errorf("no terminal: want nothing, got %q", stderr.String())
	}
}

func TestAge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m",
		2 * time.Hour: "2h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 1000 * time.Hour: "41d",
	} {
		if got := age(now.Add(-d), now); got != want {
			t.Errorf("%s: want %s, got %s", d, want, got)
		}
	}
	if got := ago(time.Time{}, now); got != "never" {
		t.Errorf("no time: want never, got %s", got)
	}
}
