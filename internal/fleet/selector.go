package fleet

import (
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/text"
)

// MaxSelector is the maximum length of a selector in bytes.
const MaxSelector = 4 << 10

// Selector picks agents by their labels, in Kubernetes' syntax: "env=prod,tier in (web, api),!canary".
type Selector struct{ parsed labels.Selector }

// ParseSelector parses a selector. field is its name in the error. The empty selector is rejected: callers must select the
// whole fleet explicitly.
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

// Matches reports whether the selector picks an agent with these labels.
func (s Selector) Matches(l map[string]string) bool { return s.parsed.Matches(labels.Set(l)) }

// Equalities returns labels that every picked agent has, by which an index can narrow the search. Matches decides.
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
