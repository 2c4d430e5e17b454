package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// running creates a deployment and has the agent "a" run it.
func (r *replica) running(t tester) uuid.UUID {
	t.Helper()
	id := r.createOne(t, "a")
	r.report(t, "a", id, saying(fleet.Running, 1, "c"))
	return id
}

func (r *replica) readLog(t tester, id uuid.UUID, attempt int, offset int64, limit int) fleet.LogPart {
	t.Helper()
	part, err := r.deployments.ReadLog(t.Context(), id, attempt, offset, limit)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

func TestLogStoresEachByteOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		offset int64
		chunk  string
		next   int64
		err    error
		log    string
	}{
		"next":               {6, "three", 11, nil, "onetwothree"},
		"replayed":           {3, "two", 6, nil, "onetwo"},
		"replayed long ago":  {0, "one", 6, nil, "onetwo"},
		"overlapping":        {3, "two!", 7, nil, "onetwo!"},
		"overlapping it all": {0, "onetwo!", 7, nil, "onetwo!"},
		"within":             {1, "ne", 6, nil, "onetwo"},
		"nothing":            {6, "", 6, nil, "onetwo"},
		"after a gap":        {7, "x", 6, fleet.ErrLogGap, "onetwo"},
		"not text":           {6, "\x00\xff\n", 9, nil, "onetwo\x00\xff\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r := newFleet(t, "a")
			id := r.running(t)
			for _, chunk := range []struct {
				offset int64
				text   string
				next   int64
				err    error
			}{{0, "one", 3, nil}, {3, "two", 6, nil}, {tt.offset, tt.chunk, tt.next, tt.err}} {
				next, err := r.deployments.AppendLog(t.Context(), "a", id, 1, chunk.offset, []byte(chunk.text))
				if next != chunk.next || !errors.Is(err, chunk.err) {
					t.Errorf("%q at %d: want %d, %v; got %d, %v", chunk.text, chunk.offset, chunk.next, chunk.err, next, err)
				}
			}
			want := fleet.LogPart{Attempt: 1, Data: []byte(tt.log)}
			if diff := cmp.Diff(want, r.readLog(t, id, 0, 0, 100)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFullLog(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a")
	id := r.running(t)
	chunk := bytes.Repeat([]byte{'x'}, fleet.MaxLogChunk)
	end := int64(0)
	for end < fleet.MaxLog-fleet.MaxLogChunk {
		next, err := r.deployments.AppendLog(t.Context(), "a", id, 1, end, chunk)
		if err != nil {
			t.Fatal(err)
		}
		end = next
	}
	for _, tt := range []struct {
		length int
		next   int64
		err    error
	}{
		{fleet.MaxLogChunk - 1, fleet.MaxLog - 1, nil},
		{2, fleet.MaxLog - 1, fleet.ErrLogFull},
		{1, fleet.MaxLog, nil},
		{1, fleet.MaxLog, fleet.ErrLogFull},
		{0, fleet.MaxLog, nil},
	} {
		next, err := r.deployments.AppendLog(t.Context(), "a", id, 1, end, chunk[:tt.length])
		if next != tt.next || !errors.Is(err, tt.err) {
			t.Errorf("%d bytes at %d: want %d, %v; got %d, %v", tt.length, end, tt.next, tt.err, next, err)
		}
		end = next
	}
	if got := len(r.readLog(t, id, 1, 0, 2*fleet.MaxLog).Data); got != fleet.MaxLog {
		t.Errorf("want %d bytes read, got %d", fleet.MaxLog, got)
	}
}

func TestLogAppendPermission(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	pending, running := r.createOne(t, "a"), r.running(t)
	retried, again, finished := r.running(t), r.running(t), r.running(t)
	for _, id := range []uuid.UUID{retried, again} {
		r.report(t, "a", id, saying(fleet.Failed, 1, "c", retryably))
	}
	db.retryComesDue(t, again)
	r.report(t, "a", again, saying(fleet.Running, 2, "c"))
	r.report(t, "a", finished, saying(fleet.Succeeded, 1, "c"))

	for name, tt := range map[string]struct {
		agent   string
		id      uuid.UUID
		attempt int
		err     error
	}{
		"the runner":                       {"a", running, 1, nil},
		"another agent":                    {"b", running, 1, fleet.ErrNotYours},
		"of no deployment":                 {"a", uuid.Max, 1, fleet.ErrDeploymentNotFound},
		"before the claim":                 {"a", pending, 1, fleet.ErrNotClaimed},
		"an attempt to come":               {"a", running, 2, fleet.ErrStaleAttempt},
		"after a retry was scheduled":      {"a", retried, 1, fleet.ErrStaleAttempt},
		"a retry before its claim":         {"a", retried, 2, fleet.ErrNotClaimed},
		"a past attempt":                   {"a", again, 1, fleet.ErrStaleAttempt},
		"the retry":                        {"a", again, 2, nil},
		"what was left when it finished":   {"a", finished, 1, nil},
		"another attempt when it finished": {"a", finished, 2, fleet.ErrStaleAttempt},
	} {
		before := ask[int](t, db, `SELECT count(*)::int FROM deployment_logs`)
		_, err := r.deployments.AppendLog(t.Context(), tt.agent, tt.id, tt.attempt, 0, []byte(name))
		if !errors.Is(err, tt.err) {
			t.Errorf("%s: want %v, got %v", name, tt.err, err)
		}
		if after := ask[int](t, db, `SELECT count(*)::int FROM deployment_logs`); (after > before) != (tt.err == nil) {
			t.Errorf("%s: %d chunks before, %d after", name, before, after)
		}
	}
}

func TestReadingALog(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	log := func(id uuid.UUID, attempt int, chunks ...string) {
		var end int64
		for _, chunk := range chunks {
			next, err := r.deployments.AppendLog(t.Context(), "a", id, attempt, end, []byte(chunk))
			if err != nil {
				t.Fatal(err)
			}
			end = next
		}
	}
	silent, running, retried, finished := r.createOne(t, "a"), r.running(t), r.running(t), r.running(t)
	log(running, 1, "abc", "def")
	log(retried, 1, "first")
	r.report(t, "a", retried, saying(fleet.Failed, 1, "c", retryably))
	log(finished, 1, "past")
	r.report(t, "a", finished, saying(fleet.Failed, 1, "c", retryably))
	db.retryComesDue(t, finished)
	r.report(t, "a", finished, saying(fleet.Running, 2, "c"))
	log(finished, 2, "abc", "def")
	r.report(t, "a", finished, saying(fleet.Succeeded, 2, "c"))

	for name, tt := range map[string]struct {
		id      uuid.UUID
		attempt int
		offset  int64
		limit   int
		want    string // attempt, data and whether it is complete
	}{
		"before the claim":             {silent, 0, 0, 9, `1 "" false`},
		"of a run":                     {running, 0, 0, 9, `1 "abcdef" false`},
		"by its number":                {running, 1, 0, 9, `1 "abcdef" false`},
		"from within a chunk":          {running, 0, 1, 9, `1 "bcdef" false`},
		"from the next chunk":          {running, 0, 3, 9, `1 "def" false`},
		"from the end":                 {running, 0, 6, 9, `1 "" false`},
		"from beyond the end":          {running, 0, 7, 9, `1 "" false`},
		"the attempt before a retry":   {retried, 0, 0, 9, `1 "first" true`},
		"the retry to come":            {retried, 2, 0, 9, `2 "" false`},
		"of what is finished":          {finished, 0, 0, 9, `2 "abcdef" true`},
		"to just the end":              {finished, 0, 0, 6, `2 "abcdef" true`},
		"to just before the end":       {finished, 0, 0, 5, `2 "abcde" false`},
		"within a chunk":               {finished, 0, 1, 1, `2 "b" false`},
		"the rest":                     {finished, 0, 5, 9, `2 "f" true`},
		"past the end, and finished":   {finished, 0, 6, 9, `2 "" true`},
		"a past attempt of the finish": {finished, 1, 0, 9, `1 "past" true`},
	} {
		part := r.readLog(t, tt.id, tt.attempt, tt.offset, tt.limit)
		if got := fmt.Sprintf("%d %q %v", part.Attempt, part.Data, part.Complete); got != tt.want || part.Offset != tt.offset {
			t.Errorf("%s: want %s, got %s at %d", name, tt.want, got, part.Offset)
		}
	}
	_, ofNone := r.deployments.ReadLog(t.Context(), uuid.Max, 0, 0, 9)
	_, toCome := r.deployments.ReadLog(t.Context(), running, 2, 0, 9)
	if !errors.Is(ofNone, fleet.ErrDeploymentNotFound) || !errors.Is(toCome, fleet.ErrStaleAttempt) {
		t.Errorf("of none: got %v; of an attempt to come: got %v", ofNone, toCome)
	}
}

// TestReadingALogToItsEnd reads pages over many small chunks.
func TestReadingALogToItsEnd(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a")
	id := r.running(t)
	var written strings.Builder
	for i := range 200 {
		line := fmt.Sprintln("line", i)
		if _, err := r.deployments.AppendLog(t.Context(), "a", id, 1, int64(written.Len()), []byte(line)); err != nil {
			t.Fatal(err)
		}
		written.WriteString(line)
	}
	r.report(t, "a", id, saying(fleet.Succeeded, 1, "c"))
	for _, limit := range []int{7, 100, 1 << 20} {
		var read []byte
		for pages := 0; ; pages++ {
			part := r.readLog(t, id, 0, int64(len(read)), limit)
			read = append(read, part.Data...)
			if len(part.Data) > limit {
				t.Fatalf("want at most %d bytes, got %d", limit, len(part.Data))
			}
			if part.Complete {
				break
			}
			if len(part.Data) == 0 || pages > written.Len() {
				t.Fatalf("pages of %d: stuck at %d", limit, len(read))
			}
		}
		if diff := cmp.Diff(written.String(), string(read)); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
		}
	}
}

// TestConcurrentLogChunks replays the same chunks through two replicas at once, each at its own pace.
func TestConcurrentLogChunks(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	id := r.running(t)
	const text = "0123456789abcdefghijklmnopqrstuvwxyz"
	var g errgroup.Group
	for i, store := range []*replica{r, newReplica(t, postgres.Config{URL: db.url}), r} {
		g.Go(func() error {
			for at := int64(0); at < int64(len(text)); {
				next, err := store.deployments.AppendLog(t.Context(), "a", id, 1, at, []byte(text[at:min(int(at)+3+i, len(text))]))
				if err != nil {
					return err
				}
				at = next
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := string(r.readLog(t, id, 0, 0, 100).Data); got != text {
		t.Errorf("want each byte once, got %q", got)
	}
}
