package spool_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution/spool"
)

// recoverAll opens a spool after a crash, and delivers and returns its executions.
func recoverAll(t testing.TB, dir string) (got []string, stats spool.Stats) {
	t.Helper()
	s, l := open(t, dir), newLedger()
	drain(t, s, l)
	stats = s.Stats()
	if stats.Records != 0 || stats.Bytes != 0 {
		t.Errorf("after the replay: want nothing waiting, got %+v", stats)
	}
	closeSpool(t, s)
	return l.ids(), stats
}

// written creates a folder with n runs in one segment, as left by a killed process.
func written(t testing.TB, n int) (dir string, segment []byte, ends []int) {
	t.Helper()
	dir = t.TempDir()
	s := open(t, dir)
	for i := range n {
		appendRun(t, s, run(i))
		info, err := os.Stat(onlySegment(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, int(info.Size()))
	}
	segment, err := os.ReadFile(onlySegment(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return copyFolder(t, dir), segment, ends
}

// withSegment returns a copy of the folder with a modified segment.
func withSegment(t testing.TB, dir string, segment []byte) string {
	t.Helper()
	dir = copyFolder(t, dir)
	if err := os.WriteFile(onlySegment(t, dir), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTornRecordLosesOnlyItself(t *testing.T) {
	t.Parallel()
	dir, segment, ends := written(t, 3)
	for length := range len(segment) + 1 {
		if length > spool.HeaderBytes+spool.FrameBytes+1 && length < ends[1]-1 {
			continue // test every byte of the last record, and the file's beginning
		}
		whole, clean := 0, length <= spool.HeaderBytes
		for i, end := range ends {
			if length >= end {
				whole = i + 1
			}
			clean = clean || length == end
		}
		torn := withSegment(t, dir, segment[:length])
		got, stats := recoverAll(t, torn)
		if diff := cmp.Diff(ids(0, whole), got); diff != "" {
			t.Fatalf("%d of %d bytes: (-want +got):\n%s", length, len(segment), diff)
		}
		if corrupt := stats.Corrupt > 0; corrupt == clean || corrupt != (len(quarantined(t, torn)) == 1) {
			t.Fatalf("%d of %d bytes: corrupt %d, kept aside %v", length, len(segment), stats.Corrupt, quarantined(t, torn))
		}
	}
}

func TestCorruptRecordEndsSegment(t *testing.T) {
	t.Parallel()
	dir, segment, ends := written(t, 2)
	starts := append([]int{spool.HeaderBytes}, ends...)
	for bit := range len(segment) * 8 {
		inFrame := bit/8 < spool.HeaderBytes
		for _, start := range starts {
			inFrame = inFrame || bit/8 >= start && bit/8 < start+spool.FrameBytes
		}
		if !inFrame && bit%43 != 0 { // of the rest, a sample that covers every bit of a byte
			continue
		}
		altered := slices.Clone(segment)
		altered[bit/8] ^= 1 << (bit % 8)
		whole := 0
		for whole < len(ends) && bit/8 >= ends[whole] {
			whole++
		}
		if bit/8 < spool.HeaderBytes { // the mark is invalid then, so all is delivered
			whole = len(ends)
		}
		got, stats := recoverAll(t, withSegment(t, dir, altered))
		if diff := cmp.Diff(ids(0, whole), got); diff != "" {
			t.Fatalf("bit %d: (-want +got):\n%s", bit, diff)
		}
		if (stats.Corrupt == 1) != (whole < len(ends)) {
			t.Fatalf("bit %d: corrupt: got %d", bit, stats.Corrupt)
		}
	}
}

func TestBytesAfterLastRecord(t *testing.T) {
	t.Parallel()
	dir, segment, _ := written(t, 2)
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for name, tail := range map[string][]byte{
		"zeros":          make([]byte, 4096),
		"a few zeros":    make([]byte, 7),
		"random bytes":   random,
		"a huge length":  {0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5},
		"a large length": append([]byte{0, 0, 0, 1, 1, 2, 3, 4}, random...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			altered := withSegment(t, dir, append(slices.Clone(segment), tail...))
			s, l := open(t, altered), newLedger()
			appendRuns(t, s, 2, 4) // where the tail was
			appended := copyFolder(t, altered)
			drain(t, s, l)
			if diff := cmp.Diff(ids(0, 4), l.ids()); diff != "" {
				t.Errorf("delivered (-want +got):\n%s", diff)
			}
			kept := quarantined(t, altered)
			if len(kept) != 1 {
				t.Fatalf("kept aside: want 1 file, got %v", kept)
			}
			if got, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(got, tail) {
				t.Errorf("kept aside: want the tail, got %d bytes, %v", len(got), err)
			}
			if got, stats := recoverAll(t, appended); len(got) != 4 || stats.Corrupt != 0 {
				t.Errorf("a restart after that: want 4 and nothing corrupt, got %v, %+v", got, stats)
			}
		})
	}
}

func TestRecordCorruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	for _, broken := range []int{0, 2, 4} {
		dir := t.TempDir()
		s, l := open(t, dir), newLedger()
		appendRuns(t, s, 0, 5)
		path := onlySegment(t, dir)
		segment, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(segment, []byte(run(broken).ID))
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("R"), int64(at)); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		drain(t, s, l)
		appendRuns(t, s, 5, 7)
		drain(t, s, l)
		if diff := cmp.Diff(append(ids(0, broken), ids(5, 7)...), l.ids()); diff != "" {
			t.Errorf("record %d altered: delivered (-want +got):\n%s", broken, diff)
		}
		if stats := s.Stats(); stats.Corrupt != 1 || stats.Records != 0 || len(quarantined(t, dir)) != 1 {
			t.Errorf("record %d altered: want it counted and kept aside, got %+v, %v", broken, stats, quarantined(t, dir))
		}
	}
}

func TestRestartRedeliversLittle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, l := open(t, dir), newLedger()
	appendRuns(t, s, 0, 20)
	drain(t, s, l)
	appendRuns(t, s, 20, 23)
	after := copyFolder(t, dir)
	got, stats := recoverAll(t, after)
	if diff := cmp.Diff(ids(20, 23), got); diff != "" {
		t.Errorf("delivered by the next process (-want +got):\n%s", diff)
	}
	if stats.Corrupt != 0 {
		t.Errorf("corrupt: got %d", stats.Corrupt)
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	t.Parallel()
	dir, segment, _ := written(t, 1)
	for n := range spool.MaxQuarantined + 5 {
		if err := os.MkdirAll(dir+"/slot-000", 0o700); err != nil {
			t.Fatal(err)
		}
		tail := append(slices.Clone(segment), make([]byte, n+1)...)
		tail = append(tail, byte(n)+1)
		if err := os.WriteFile(dir+"/slot-000/"+"000000000000000"+string('0'+rune(n%10))+".spool1", append(tail, make([]byte, n*100)...), 0o600); err != nil {
			t.Fatal(err)
		}
		recoverAll(t, dir)
	}
	if n := len(quarantined(t, dir)); n == 0 || n > spool.MaxQuarantined {
		t.Errorf("kept aside: want at most %d, got %d", spool.MaxQuarantined, n)
	}
}

// In any sequence of events, appended executions are delivered in order, and once, except those that a crash in the middle
// of a segment repeats.
func TestCrashesAtRandom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		dir := t.TempDir()
		small := func(o *spool.Options) { o.MaxBytes, o.MaxRecord = 512<<10, 4<<10 }
		s, l := open(t, dir, small), newLedger()
		var acknowledged []string
		appendOne := func() {
			reservation, err := s.Reserve()
			if err != nil {
				return // full
			}
			e := run(len(acknowledged))
			if err := reservation.Append(e); err != nil {
				r.Fatalf("append: %v", err)
			}
			acknowledged = append(acknowledged, e.ID)
		}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"append", "append many", "deliver", "restart", "crash", "crash in a write"}).Draw(r, "step") {
			case "append":
				appendOne()
			case "append many":
				for range rapid.IntRange(1, 400).Draw(r, "many") {
					appendOne()
				}
			case "deliver":
				drain(t, s, l)
			case "restart":
				closeSpool(t, s)
				s = open(t, dir, small)
			case "crash":
				after := copyFolder(t, dir)
				closeSpool(t, s)
				dir = after
				s = open(t, dir, small)
			case "crash in a write":
				after := copyFolder(t, dir)
				closeSpool(t, s)
				dir = after
				if segments := spool.Segments(t, dir); len(segments) > 0 {
					f, err := os.OpenFile(segments[len(segments)-1], os.O_WRONLY|os.O_APPEND, 0)
					if err != nil {
						r.Fatal(err)
					}
					_, _ = f.Write(rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(r, "torn"))
					_ = f.Close()
				}
				s = open(t, dir, small)
			}
		}
		drain(t, s, l)
		if diff := cmp.Diff(acknowledged, l.ids(), cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
			r.Fatalf("delivered (-want +got):\n%s", diff)
		}
		closeSpool(t, s)
	})
}
