package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fleet"
)

// TestPendingIsLimitedByBytes checks that as many specs are read as fit in the
// limit, and that the tag is that of all due deployments, as a sweep computes it.
func TestPendingIsLimitedByBytes(t *testing.T) {
	t.Parallel()
	const spec = 256 << 10
	tests := map[string]struct {
		sizes []int // bytes of each spec, oldest first
		want  int
	}{
		"small":                      {[]int{20, 20, 20}, 3},
		"the largest, four of six":   {[]int{spec, spec, spec, spec, spec, spec}, 4},
		"one beyond, small ones too": {[]int{fleet.MaxPendingBytes - 20, 100, 20}, 1},
		"exactly the limit":          {[]int{fleet.MaxPendingBytes - 20, 20, 20}, 2},
		"the first is too large":     {[]int{fleet.MaxPendingBytes + 1, 20}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r := newFleet(t, "a")
			var due []fleet.Waiting
			for _, size := range test.sizes {
				o := order("a")
				o.Spec = fmt.Appendf(nil, `{"x": "%s"}`, strings.Repeat("x", size-len(`{"x": ""}`)))
				due = append(due, fleet.Waiting{ID: r.create(t, o).Deployments[0].ID, Attempt: 1})
			}
			set, err := r.deployments.Pending(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(due, set.Due); diff != "" {
				t.Errorf("due (-want +got):\n%s", diff)
			}
			if got := set.Tag(); got != fleet.PendingTag(due) {
				t.Errorf("got the tag %s, want that of all that is due", got)
			}
			if len(set.Deployments) != test.want {
				t.Fatalf("got %d deployments, want %d", len(set.Deployments), test.want)
			}
			for i, d := range set.Deployments {
				if d.ID != due[i].ID || len(d.Spec) != test.sizes[i] {
					t.Errorf("at %d: got %s of %d bytes, want %s of %d", i, d.ID, len(d.Spec), due[i].ID, test.sizes[i])
				}
			}
		})
	}
}
