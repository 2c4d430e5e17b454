package otlp

import (
	"slices"
	"strconv"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/memo"
)

// attributes are the attributes of a span, an event, a scope or a resource.
//
// About a hundred names are looked up in each span, which has few attributes. A bit filter of the names replaces a map:
// most look-ups end at its bit (BenchmarkExport).
type attributes struct {
	pairs  []*commonpb.KeyValue // each has a value and a unique name
	filter [filterBits / 64]uint64
	traits trait                         // of all names
	usage  uint32                        // a bit for each of the first few pairs, set if its name is about usage
	index  map[string]*commonpb.AnyValue // nil if there are few
}

const (
	filterBits = 256
	few        = 32 // attributes, the number of bits of usage
)

// collect drops attributes without a value. Of duplicate keys, which the protocol does not allow, the first is kept.
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
			a.pairs = slices.Clip(a.pairs) // makes append copy
			continue
		}
		if len(a.pairs) == i {
			a.pairs = pairs[: i+1 : i+1]
		} else {
			a.pairs = append(a.pairs, pair)
		}
		a.filter[bit/64] |= 1 << (bit % 64)
		of := traitsOf.Get(key).set
		if a.traits |= of; of&carriesUsage != 0 {
			a.usage |= 1 << (len(a.pairs) - 1)
		}
		if a.index != nil {
			a.index[key] = pair.GetValue()
		}
	}
}

// carriesUsage reports whether a pair's name may be about usage.
func (a *attributes) carriesUsage(pair int) bool { return a.usage&(1<<pair) != 0 || pair >= few }

func filterBit(name string) uint { return memo.Hash(name) % filterBits }

func (a *attributes) mayHave(bit uint) bool { return a.filter[bit/64]&(1<<(bit%64)) != 0 }

// value returns the value of an attribute, or nil.
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

// text returns the first of the named attributes that is a non-empty string or a number, as text.
func (a *attributes) text(names ...string) string {
	for _, name := range names {
		if text := textOf(a.value(name)); text != "" {
			return text
		}
	}
	return ""
}

// textOf returns a string or number as text, or "" for other values.
func textOf(value *commonpb.AnyValue) string {
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return unquoted(v.StringValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	}
	return ""
}

// name is like text but returns a name of at most most bytes. Blank values and placeholders are ignored.
func (a *attributes) name(limit int, names ...string) string {
	for _, name := range names {
		if value := a.value(name); value != nil {
			if found := toName(textOf(value), limit); found != "" && !isPlaceholder(found) {
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
