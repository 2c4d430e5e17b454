package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

// Objectives of resources and of reports have the same names, so that they can be copied, and so that the controller
// can pass them on unchanged.
func TestObjectivesMatchReportObjectives(t *testing.T) {
	t.Parallel()
	ours, theirs := shape(reflect.TypeFor[v1alpha1.Objective]()), shape(reflect.TypeFor[objective.Objective]())
	if !slices.Equal(ours, theirs) {
		t.Errorf("got the fields\n%s\nwant\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	rapid.Check(t, func(t *rapid.T) {
		o := v1alpha1.Objective{Name: "a"}
		fill(t, reflect.ValueOf(&o).Elem())
		first := encoded(t, o)
		var of objective.Objective
		decode(t, first, &of)
		var back v1alpha1.Objective
		decode(t, encoded(t, of), &back)
		if !reflect.DeepEqual(back, o) {
			t.Fatalf("got %s back, want %s", encoded(t, back), first)
		}
	})
}

// shape returns the names and types in JSON of a type's fields.
func shape(of reflect.Type) []string {
	var all []string
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		kind := field.Type
		if kind.Kind() != reflect.Pointer {
			all = append(all, name+" "+kind.Kind().String())
			continue
		}
		for _, below := range shape(kind.Elem()) {
			all = append(all, name+"."+below)
		}
	}
	slices.Sort(all)
	return all
}

// fill sets strings to random texts, and pointers to structs that are filled.
func fill(t *rapid.T, v reflect.Value) {
	for i := range v.NumField() {
		field := v.Field(i)
		if field.Kind() == reflect.String {
			field.SetString(rapid.StringN(1, 20, -1).Draw(t, "text"))
		} else if rapid.Bool().Draw(t, "set") {
			field.Set(reflect.New(field.Type().Elem()))
			fill(t, field.Elem())
		}
	}
}

func encoded(t *rapid.T, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *rapid.T, text []byte, into any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// Reports accept every objective that the API server accepts.
func TestReportAcceptsObjectives(t *testing.T) {
	t.Parallel()
	for _, tt := range objectiveTests {
		for _, value := range tt.accepted {
			var r v1alpha1.MonitoringReport
			object := patched(t, put(t, tt.patch, value)).Object
			text, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			var in report.Input
			if text, err = json.Marshal(r.Spec.Objectives); err == nil {
				err = json.Unmarshal(text, &in.Objectives)
			}
			if err == nil {
				_, err = report.ParseRequest(in, 24, time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
			}
			if err != nil {
				t.Errorf("%s: %.80q: %v", tt.field, value, err)
			}
		}
	}
}

// The sections of a resource are those of reports.
func TestSections(t *testing.T) {
	t.Parallel()
	var got []string
	for _, value := range schemaOf(t).Properties["spec"].Properties["sections"].Items.Schema.Enum {
		got = append(got, strings.Trim(string(value.Raw), `"`))
	}
	var want []string
	for _, section := range report.AllSections() {
		want = append(want, string(section))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got the sections %q, want %q", got, want)
	}
}
