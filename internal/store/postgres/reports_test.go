package postgres_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

func document(name string) report.Document {
	return report.Document{
		ID: newID().String(), Name: name, Verdict: report.Pass, GeneratedAt: noon,
		Window:     report.Coverage{Window: report.Window{From: noon, To: noon.Add(time.Hour)}, CoveredSeconds: 3600},
		Objectives: []objective.Result{},
	}
}

func (r *replica) save(t tester, doc report.Document) {
	t.Helper()
	r.saveIn(t, "", doc, 0)
}

func (r *replica) saveIn(t tester, namespace string, doc report.Document, keep int) {
	t.Helper()
	if err := r.reports.SaveReport(t.Context(), namespace, doc, keep); err != nil {
		t.Fatal(err)
	}
}

func TestReportRoundTrip(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	want := document(`daily "é"`)
	r.save(t, document("another"))
	r.save(t, want)
	namespace, stored, err := r.reports.Report(t.Context(), uuid.MustParse(want.ID))
	if err != nil || namespace != "" {
		t.Fatalf("want no namespace, got %q, %v", namespace, err)
	}
	var got report.Document
	if err := json.Unmarshal(stored, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMissingReport(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	if _, _, err := r.reports.Report(t.Context(), uuid.Max); !errors.Is(err, report.ErrNotFound) || errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("want %v, got %v", report.ErrNotFound, err)
	}
	broken := document("x")
	broken.ID = "not an id"
	if err := r.reports.SaveReport(t.Context(), "", broken, 0); err == nil {
		t.Error("want an id that is none refused")
	}
	twice := document("x")
	r.save(t, twice)
	if err := r.reports.SaveReport(t.Context(), "", twice, 0); err == nil || errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("want an id that is taken refused, got %v", err)
	}
}

func TestListReports(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	var docs [4]report.Document
	var ids [4]uuid.UUID
	namespaces := [4]string{"", "fleet", "other", "fleet"}
	for i, verdict := range []report.Verdict{report.Pass, report.Fail, report.NoData, report.Pass} {
		docs[i] = document(string(verdict))
		docs[i].Verdict = verdict
		ids[i] = uuid.MustParse(docs[i].ID)
		r.saveIn(t, namespaces[i], docs[i], 0)
	}
	for name, tt := range map[string]struct {
		namespace, name string
		before          uuid.UUID
		limit           int
		want            []int // of docs
	}{
		"all":                      {"", "", uuid.Max, 10, []int{3, 2, 1, 0}},
		"first two":                {"", "", uuid.Max, 2, []int{3, 2}},
		"next two":                 {"", "", ids[2], 2, []int{1, 0}},
		"no more":                  {"", "", ids[0], 2, nil},
		"of a namespace":           {"fleet", "", uuid.Max, 10, []int{3, 1}},
		"of a namespace, next":     {"fleet", "", ids[3], 10, []int{1}},
		"of a name":                {"", "Pass", uuid.Max, 10, []int{3, 0}},
		"of a namespace's name":    {"fleet", "Pass", uuid.Max, 10, []int{3}},
		"of a name that is not it": {"other", "Pass", uuid.Max, 10, nil},
	} {
		got, err := r.reports.ListReports(t.Context(), tt.namespace, tt.name, tt.before, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		want := []report.Heading{}
		for i, n := range tt.want {
			doc := docs[n]
			heading := report.Heading{ID: doc.ID, Namespace: namespaces[n], Name: doc.Name, Window: doc.Window, Verdict: doc.Verdict}
			if i < len(got) {
				heading.CreatedAt = got[i].CreatedAt
			}
			want = append(want, heading)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
