package postgres_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// slot returns the report of one hour that ends hoursBefore hours before noon.
func slot(name string, hoursBefore int) report.Document {
	doc := document(name)
	doc.Window.From = doc.Window.From.Add(-time.Duration(hoursBefore) * time.Hour)
	doc.Window.To = doc.Window.To.Add(-time.Duration(hoursBefore) * time.Hour)
	return doc
}

// kept returns the ids of the reports of a namespace and name, newest first.
func (r *replica) kept(t tester, namespace, name string) []string {
	t.Helper()
	headings, err := r.reports.ListReports(t.Context(), namespace, name, uuid.Max, 1000)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, len(headings))
	for i, h := range headings {
		ids[i] = h.ID
	}
	return ids
}

func TestReportReplacesEarlierOneOfItsSlot(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	first, otherSlot, otherName, elsewhere, again := slot("daily", 0), slot("daily", 1), slot("weekly", 0), slot("daily", 0), slot("daily", 0)
	again.Verdict = report.Fail
	r.saveIn(t, "fleet", first, 0)
	db.exec(t, `UPDATE reports SET created_at = now() - interval '1 day'`)
	r.saveIn(t, "fleet", otherSlot, 0)
	r.saveIn(t, "fleet", otherName, 0)
	r.saveIn(t, "other", elsewhere, 0)
	r.saveIn(t, "fleet", again, 0)

	for _, tt := range []struct {
		namespace, name string
		want            []string
	}{
		{"fleet", "daily", []string{again.ID, otherSlot.ID}},
		{"fleet", "weekly", []string{otherName.ID}},
		{"other", "daily", []string{elsewhere.ID}},
	} {
		if got := r.kept(t, tt.namespace, tt.name); !slices.Equal(got, tt.want) {
			t.Errorf("%s/%s: want %v, got %v", tt.namespace, tt.name, tt.want, got)
		}
	}
	if _, _, err := r.reports.Report(t.Context(), uuid.MustParse(first.ID)); !errors.Is(err, report.ErrNotFound) {
		t.Errorf("the one that was replaced: want %v, got %v", report.ErrNotFound, err)
	}
	namespace, stored, err := r.reports.Report(t.Context(), uuid.MustParse(again.ID))
	if err != nil || namespace != "fleet" {
		t.Fatalf("want the namespace fleet, got %q, %v", namespace, err)
	}
	var got report.Document
	if err := json.Unmarshal(stored, &got); err != nil || got.ID != again.ID || got.Verdict != report.Fail {
		t.Errorf("want the second document, got %+v, %v", got, err)
	}
	if old := ask[int64](t, db, `SELECT count(*) FROM reports WHERE verdict = 'Pass' AND id = $1 OR created_at < now() - interval '1 hour'`, again.ID); old != 0 {
		t.Error("the row beside the document is still the first one's")
	}
}

func TestAdminReportsAreDistinct(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	docs := []report.Document{slot("daily", 0), slot("daily", 0), slot("daily", 0)}
	for _, doc := range docs {
		r.save(t, doc)
	}
	if got := r.kept(t, "", "daily"); len(got) != len(docs) {
		t.Errorf("want %d, got %v", len(docs), got)
	}
}

func TestKeepDropsTheOldestOfANamespaceAndName(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"fleet", ""} {
		t.Run("of "+namespace, func(t *testing.T) {
			t.Parallel()
			_, r := newFleet(t)
			var ids []string
			for i := range 5 {
				doc := slot("daily", 10-i)
				ids = slices.Insert(ids, 0, doc.ID)
				r.saveIn(t, namespace, doc, 0)
			}
			other, elsewhere := slot("weekly", 20), slot("daily", 20)
			r.saveIn(t, namespace, other, 1)
			r.saveIn(t, "elsewhere", elsewhere, 1)
			if got := r.kept(t, namespace, "daily"); namespace != "" && !slices.Equal(got, ids) {
				t.Errorf("another's keep: want %v untouched, got %v", ids, got)
			}
			newest := slot("daily", 0)
			r.saveIn(t, namespace, newest, 3)
			got := slices.DeleteFunc(r.kept(t, namespace, "daily"), func(id string) bool { return id == elsewhere.ID })
			if want := []string{newest.ID, ids[0], ids[1]}; !slices.Equal(got, want) {
				t.Errorf("want %v, got %v", want, got)
			}
			if got := r.kept(t, namespace, "weekly"); !slices.Equal(got, []string{other.ID}) {
				t.Errorf("another name's: want it kept, got %v", got)
			}
			if got := r.kept(t, "elsewhere", "daily"); !slices.Equal(got, []string{elsewhere.ID}) {
				t.Errorf("another namespace's: want it kept, got %v", got)
			}
		})
	}
}

// TestKeepNeverDropsWhatWasJustSaved saves a report on a replica whose clock is behind.
func TestKeepNeverDropsWhatWasJustSaved(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	behind, ahead := slot("daily", 0), slot("daily", 1) // by the times of their ids
	r.saveIn(t, "fleet", ahead, 1)
	r.saveIn(t, "fleet", behind, 1)
	if got, want := r.kept(t, "fleet", "daily"), []string{ahead.ID, behind.ID}; !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

// TestConcurrentReports has replicas create reports of the same slots concurrently.
func TestConcurrentReports(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	const slots, keep = 6, 3
	g, ctx := errgroup.WithContext(t.Context())
	for range 4 {
		r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 4})
		for i := range slots {
			for _, kept := range []int{0, keep} {
				g.Go(func() error {
					return r.reports.SaveReport(ctx, "fleet", slot(fmt.Sprintf("keep %d", kept), i), kept)
				})
			}
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"keep 0": slots, "keep 3": keep} {
		rows := ask[int64](t, db, `SELECT count(*) FROM reports WHERE name = $1`, name)
		times := ask[int64](t, db, `SELECT count(DISTINCT window_to) FROM reports WHERE name = $1`, name)
		// Ids are generated before a report's turn to be saved: a late one with an old id remains beside newer ones.
		if more := want + 1; rows != times || rows < want || rows > want && (name == "keep 0" || rows > more) {
			t.Errorf("%s: want %d rows, one a slot, got %d of %d slots", name, want, rows, times)
		}
	}
	db.neverDeadlocked(t)
}

// TestPreviousReleaseStoresReports stores reports as the previous
// release does, which runs beside this one during an update.
func TestPreviousReleaseStoresReports(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	for range 2 {
		db.exec(t, `INSERT INTO reports (id, name, window_from, window_to, verdict, document) VALUES ($1, 'daily', $2, $3, 'Pass', '{}')`,
			newID(), noon, noon.Add(time.Hour))
	}
	if got := r.kept(t, "", "daily"); len(got) != 2 {
		t.Errorf("want both, got %v", got)
	}
}
