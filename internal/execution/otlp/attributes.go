package otlp

import (
	"slices"
	"strconv"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/memo"
)

// attributes are what a span, an event, a scope or a resource says of itself.
//
// Some hundred names are looked for in each span, which has few attributes. So there is a filter of the names instead of a map: most
// look-ups end at its bit (BenchmarkExport).
type attributes struct {
	pairs  []*commonpb.KeyValue // each has a value, and a name that no other has
	filter [filterBits / 64]uint64
	traits trait                         // of any of the names
	usage  uint32                        // a bit for each pair whose name tells usage, if there are few
	index  map[string]*commonpb.AnyValue // nil: there are few
}

const (
	filterBits = 256
	few        = 32 // attributes, as many as usage has bits
)

// collect leaves out attributes that say nothing. Of two with the same key, which the protocol does not allow, the first
// stands.
func collect(pairs []*commonpb.KeyValue) attributes {
	var a attributes
	a.collect(pairs)
	return a
}

func (a *attributes) collect(pairs []*commonpb.KeyValue) {
	*a = attributes{}
	if len(pairs) > few {
		a.index = make(map[string]*commonpb.AnyValue, len(pairs))
	}
	a.pairs = pairs[:0:0]
	for i, pair := range pairs {
		key, bit := pair.GetKey(), filterBit(pair.GetKey())
		if pair.GetValue().GetValue() == nil || a.mayHave(bit) && a.find(key) != nil {
			a.pairs = slices.Clip(a.pairs) // what follows is appended to a copy
			continue
		}
		if len(a.pairs) == i {
			a.pairs = pairs[: i+1 : i+1]
		} else {
			a.pairs = append(a.pairs, pair)
		}
		a.filter[bit/64] |= 1 << (bit % 64)
		of := traitsOf.Get(key).set
		if a.traits |= of; of&tellsUsage != 0 {
			a.usage |= 1 << (len(a.pairs) - 1)
		}
		if a.index != nil {
			a.index[key] = pair.GetValue()
		}
	}
}

// tellsUsage reports whether the name of a pair may.
func (a *attributes) tellsUsage(pair int) bool { return a.usage&(1<<pair) != 0 || pair >= few }

func filterBit(name string) uint { return memo.Hash(name) % filterBits }

func (a *attributes) mayHave(bit uint) bool { return a.filter[bit/64]&(1<<(bit%64)) != 0 }

// value is the value of an attribute; nil: there is none.
func (a *attributes) value(name string) *commonpb.AnyValue {
	if !a.mayHave(filterBit(name)) {
		return nil
	}
	return a.find(name)
}

func (a *attributes) find(name string) *commonpb.AnyValue {
	if a.index != nil {
		return a.index[name]
	}
	for _, pair := range a.pairs {
		if pair.GetKey() == name {
			return pair.GetValue()
		}
	}
	return nil
}

// text is the first of the named attributes that is a text of at least one character, or a number.
func (a *attributes) text(names ...string) string {
	for _, name := range names {
		if text := textOf(a.value(name)); text != "" {
			return text
		}
	}
	return ""
}

// textOf is a value that is a text, or a number; empty: it is neither.
func textOf(value *commonpb.AnyValue) string {
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return unquoted(v.StringValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	}
	return ""
}

// name is text's answer as a name of at most so many bytes. What is blank or a
// placeholder is no name.
func (a *attributes) name(most int, names ...string) string {
	for _, name := range names {
		if value := a.value(name); value != nil {
			if found := toName(textOf(value), most); found != "" && !isPlaceholder(found) {
				return found
			}
		}
	}
	return ""
}

func (a *attributes) has(names ...string) bool {
	for _, name := range names {
		if a.value(name) != nil {
			return true
		}
	}
	return false
}
