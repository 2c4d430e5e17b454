package otlp

import (
	"strconv"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

// attributes are what a span, an event, a scope or a resource says of itself.
type attributes map[string]*commonpb.AnyValue

// collect leaves out attributes that say nothing. Of two with the same key, which the protocol does not allow, the first
// stands.
func collect(pairs []*commonpb.KeyValue) attributes {
	found := make(attributes, len(pairs))
	for _, pair := range pairs {
		if _, twice := found[pair.GetKey()]; twice || pair.GetValue().GetValue() == nil {
			continue
		}
		found[pair.GetKey()] = pair.GetValue()
	}
	return found
}

// text is the first of the named attributes that is a text of at least one character, or a number.
func (a attributes) text(names ...string) string {
	for _, name := range names {
		switch value := a[name].GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			if text := unquoted(value.StringValue); text != "" {
				return text
			}
		case *commonpb.AnyValue_IntValue:
			return strconv.FormatInt(value.IntValue, 10)
		}
	}
	return ""
}

// name is text's answer as a name of at most so many bytes. What is blank or a
// placeholder is no name.
func (a attributes) name(most int, names ...string) string {
	for _, name := range names {
		if found := toName(a.text(name), most); found != "" && !isPlaceholder(found) {
			return found
		}
	}
	return ""
}

func (a attributes) has(names ...string) bool {
	for _, name := range names {
		if _, said := a[name]; said {
			return true
		}
	}
	return false
}
