package fleet

import (
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/text"
)

// MaxSelector bounds a selector's length in bytes.
const MaxSelector = 4 << 10

// Selector picks agents by their labels, in Kubernetes' syntax: "env=prod,tier in (web, api),!canary".
type Selector struct{ parsed labels.Selector }

// ParseSelector reads a selector. field is the name by which a fault calls it. The empty selector is refused: who
// means the whole fleet should have to say so.
func ParseSelector(field, s string) (Selector, error) {
	if s == "" {
		return Selector{}, fault.InvalidField(field, "must not be empty")
	}
	if len(s) > MaxSelector {
		return Selector{}, fault.InvalidField(field, "must be at most %d bytes", MaxSelector)
	}
	parsed, err := labels.Parse(s)
	if err != nil {
		return Selector{}, fault.InvalidField(field, "%s", text.Clip(err.Error(), 80))
	}
	if parsed.Empty() {
		return Selector{}, fault.InvalidField(field, "must name at least one label")
	}
	return Selector{parsed}, nil
}

// Matches says whether an agent with these labels is picked.
func (s Selector) Matches(l map[string]string) bool { return s.parsed.Matches(labels.Set(l)) }

// Equalities are the labels that every picked agent has, for an index to narrow the search by. Matches decides.
func (s Selector) Equalities() map[string]string {
	equal := map[string]string{}
	requirements, _ := s.parsed.Requirements()
	for _, r := range requirements {
		if op := r.Operator(); op == selection.Equals || op == selection.DoubleEquals {
			equal[r.Key()] = r.ValuesUnsorted()[0]
		}
	}
	return equal
}
