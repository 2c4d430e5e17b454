package otlp

import (
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution/usage"
	"github.com/watchbill/watchbill/internal/memo"
)

// traits are what an attribute's name means, whatever its value.
type traits struct {
	set   trait
	names named
	usage usage.Name
}

// trait is a set of traits.
type trait uint8

const (
	namesRole    trait = 1 << iota // names a role in an unknown dialect
	isOwn                          // not context, and not how the span failed
	isGenerative                   // of an instrumentation of generative AI, and not context
	isParameters                   // contains metadata or parameters, if the value is an object
	namesItself                    // names a user, session or agent
	carriesUsage
	isElement // of a list that was flattened into attributes
)

// traitsOf caches the traits of each name.
var traitsOf = memo.New(func(name string) *traits {
	t := &traits{names: namedBy(name), usage: usage.Attribute(name)}
	for _, one := range []struct {
		is    bool
		trait trait
	}{
		{hasAnySuffix(name, roleSuffixes), namesRole},
		{!isContext(name) && name != "error.type", isOwn},
		{!isContext(name) && hasAnyPrefix(name, generative), isGenerative},
		{name == "mlflow.spanInputs" || hasAnyFoldedSuffix(name, parameterSuffixes...), isParameters},
		{t.names != nobody, namesItself},
		{!t.usage.Silent(), carriesUsage},
		{slices.ContainsFunc(strings.Split(name, "."), isNumber), isElement},
	} {
		if one.is {
			t.set |= one.trait
		}
	}
	return t
})

func hasAnySuffix(text string, suffixes []string) bool {
	for _, suffix := range suffixes {
		if strings.HasSuffix(text, suffix) {
			return true
		}
	}
	return false
}

func hasAnyPrefix(text string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
